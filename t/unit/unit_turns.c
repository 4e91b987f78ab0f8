/* unit_turns: whose message gets the next free worker. */
#include <string.h>

#include "t/unit/tap.h"
#include "worker/turns.h"

enum { MOST = 64 };

static struct mw_turns *turns;
static struct mw_turn all[MOST];

/* Each with a client: 'a' to 'z' are networks of their own. */
static void line_up(const char *clients)
{
    for (size_t i = 0; clients[i]; i++) {
        char address[32];
        snprintf(address, sizeof address, "192.0.%d.%zu", clients[i] - 'a', i);
        mw_turns_wait(turns, &all[i], address);
    }
}

/* Gives one free worker after the other: whose turns these are, by the clients' letters. */
static const char *served(const char *clients, unsigned free_workers)
{
    static char order[MOST];
    size_t count = 0;
    for (struct mw_turn *turn; free_workers > 0 && (turn = mw_turns_next(turns, free_workers));
         free_workers--)
        order[count++] = clients[turn - all];
    order[count] = '\0';
    return order;
}

static void begin(unsigned per_client)
{
    turns = mw_turns_new();
    mw_turns_set_per_client(turns, per_client);
}

static void test_order(void)
{
    begin(0);
    line_up("aaaabbc");
    tap_is(served("aaaabbc", 7), "abcabaa", "clients are served in turn, each in its own order");
    tap_is_number((long long)mw_turns_waiting(turns), 0, "... and then nobody waits");
    mw_turns_free(turns);
}

static void test_share(void)
{
    begin(1);
    line_up("aaaa");
    tap_is(served("aaaa", 3), "aa", "one client alone gets all free workers but the last one");
    line_up("aaaab");
    tap_is(served("aaaab", 1), "b", "... which another one gets at once");
    tap_is(served("aaaab", 1), "", "... but not the first");
    mw_turns_done(turns, &all[0]);
    tap_is(served("aaaab", 2), "a", "... until there are two again");
    mw_turns_free(turns);
}

static void test_networks(void)
{
    static const struct {
        const char *one, *other;
        bool same;
        const char *what;
    } pairs[] = {
        {"192.0.2.1", "192.0.2.250", true, "addresses of one /24"},
        {"192.0.2.1", "192.0.3.1", false, "addresses of two"},
        {"2001:db8::1", "2001:db8::ffff:1", true, "addresses of one /64"},
        {"2001:db8::1", "2001:db8:0:1::1", false, "addresses of two /64"},
        {"::ffff:192.0.2.1", "192.0.2.9", true, "an IPv4 address in IPv6 form and one of its /24"},
        {"192.0.2.1", "2001:db8::1", false, "IPv4 and IPv6"},
        {NULL, "local", true, "what has no address"},
        {NULL, "192.0.2.1", false, "what has none and what has one"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        begin(1);
        mw_turns_wait(turns, &all[0], pairs[i].one);
        mw_turns_wait(turns, &all[1], pairs[i].other);
        struct mw_turn *first = mw_turns_next(turns, 1), *second = mw_turns_next(turns, 1);
        tap_ok(first == &all[0] && (second == NULL) == pairs[i].same, "%s are %s client",
               pairs[i].what, pairs[i].same ? "one" : "not one");
        mw_turns_free(turns);
    }
}

static void test_giving_up(void)
{
    begin(1);
    line_up("aabab");
    mw_turns_give_up(turns, &all[0]);
    mw_turns_give_up(turns, &all[4]);
    mw_turns_give_up(turns, &all[2]);
    tap_is_number((long long)mw_turns_waiting(turns), 2, "who gives up waits no more");
    tap_is(served("aabab", 3), "aa", "... and the others keep their places");
    mw_turns_done(turns, &all[1]);
    mw_turns_done(turns, &all[3]);
    tap_ok(!mw_turns_next(turns, 9), "when all is done nobody is left");
    mw_turns_free(turns);
}

int main(void)
{
    test_order();
    test_share();
    test_networks();
    test_giving_up();
    return tap_done();
}
