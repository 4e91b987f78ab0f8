/* network: every address as 16 bytes, so that there is one comparison. */
#include "core/network.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { V4_OFFSET = 12, V4_BITS = 96, ALL_BITS = 128 };

static const unsigned char mapped[V4_OFFSET] = {[10] = 0xff, [11] = 0xff};

/* The address in its 16-byte form; false when text is none. */
static bool read_address(const char *text, unsigned char address[16], bool *v4)
{
    memcpy(address, mapped, sizeof mapped);
    *v4 = inet_pton(AF_INET, text, address + V4_OFFSET) == 1;
    return *v4 || inet_pton(AF_INET6, text, address) == 1;
}

static void clear_behind(unsigned char address[16], unsigned bits)
{
    for (unsigned i = bits; i < ALL_BITS; i++)
        address[i / 8] &= (unsigned char)~(0x80U >> i % 8);
}

static void print_network(const struct mw_network *network, bool v4, char *text, socklen_t size)
{
    if (v4)
        inet_ntop(AF_INET, network->address + V4_OFFSET, text, size);
    else
        inet_ntop(AF_INET6, network->address, text, size);
}

static int read_bits(const char *text, unsigned most, unsigned *bits)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 3 || text[digits] != '\0')
        return MW_ERR_INPUT;
    *bits = (unsigned)strtoul(text, NULL, 10);
    return *bits <= most ? 0 : MW_ERR_INPUT;
}

int mw_network_parse(struct mw_network *network, const char *text, struct mw_error *error)
{
    static const char form[] = "a network such as 10.0.0.0/8 or 2001:db8::/32";
    char address[INET6_ADDRSTRLEN + 1];
    const char *slash = strchr(text, '/');
    size_t size = slash ? (size_t)(slash - text) : strlen(text);
    bool v4;
    if (size >= sizeof address)
        return mw_fail(error, MW_ERR_INPUT, "'%s' is not %s", text, form);
    memcpy(address, text, size);
    address[size] = '\0';
    if (!read_address(address, network->address, &v4))
        return mw_fail(error, MW_ERR_INPUT, "'%s' is not %s", text, form);
    unsigned most = v4 ? ALL_BITS - V4_BITS : ALL_BITS, bits = most;
    if (slash && read_bits(slash + 1, most, &bits) != 0)
        return mw_fail(error, MW_ERR_INPUT, "'%s' is not %s: the prefix is from 0 to %u", text,
                       form, most);
    network->bits = v4 ? bits + V4_BITS : bits;
    unsigned char given[16];
    memcpy(given, network->address, sizeof given);
    clear_behind(network->address, network->bits);
    if (memcmp(given, network->address, sizeof given) == 0)
        return 0;
    print_network(network, v4, address, sizeof address);
    return mw_fail(error, MW_ERR_INPUT, "'%s' has bits set behind its prefix; say %s/%u", text,
                   address, bits);
}

bool mw_network_has(const struct mw_network *network, const char *address)
{
    unsigned char bytes[16];
    bool v4;
    if (!address)
        return false;
    if (strncasecmp(address, "IPv6:", 5) == 0)
        address += 5;
    if (!read_address(address, bytes, &v4))
        return false;
    /* ::/0 is all of IPv6 and nothing else. */
    if (memcmp(bytes, mapped, sizeof mapped) == 0 && network->bits < V4_BITS)
        return false;
    clear_behind(bytes, network->bits);
    return memcmp(bytes, network->address, sizeof bytes) == 0;
}
