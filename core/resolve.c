/* resolve: a thread for each name, and whoever comes last frees. */
#include "core/resolve.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

enum { STACK = 256 * 1024 };

/* One question; belongs to who asks and to the thread. */
struct question {
    char *host, *port;
    struct addrinfo hints, *found;
    int result;
    pthread_mutex_t lock; /* guards found, result and what follows */
    pthread_cond_t done;
    bool answered, left; /* left: nobody waits for the answer */
};

static struct question *new_question(const char *host, const char *port,
                                     const struct addrinfo *hints)
{
    struct question *question = calloc(1, sizeof *question);
    if (!question || !(question->host = strdup(host)) || !(question->port = strdup(port)))
        abort();
    question->hints = *hints;
    mw_clock_condition(&question->done);
    pthread_mutex_init(&question->lock, NULL);
    return question;
}

static void free_question(struct question *question)
{
    if (question->found)
        freeaddrinfo(question->found);
    pthread_cond_destroy(&question->done);
    pthread_mutex_destroy(&question->lock);
    free(question->host);
    free(question->port);
    free(question);
}

static void *ask(void *argument)
{
    struct question *question = argument;
    struct addrinfo *found = NULL;
    int result = getaddrinfo(question->host, question->port, &question->hints, &found);
    pthread_mutex_lock(&question->lock);
    question->found = result == 0 ? found : NULL;
    question->result = result;
    question->answered = true;
    bool left = question->left;
    pthread_cond_signal(&question->done);
    pthread_mutex_unlock(&question->lock);
    if (left)
        free_question(question);
    return NULL;
}

static int start_thread(struct question *question)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&thread, &attributes, ask, question);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return code;
}

/* Takes the answer when it is there in time, else leaves the question to the thread. */
static int await(struct question *question, int64_t deadline, struct addrinfo **found,
                 struct mw_error *error)
{
    struct timespec until = mw_clock_time(deadline * 1000);
    pthread_mutex_lock(&question->lock);
    while (!question->answered && mw_clock_ms() < deadline)
        pthread_cond_timedwait(&question->done, &question->lock, &until);
    bool answered = question->answered;
    question->left = !answered;
    *found = question->found;
    question->found = NULL;
    int result = question->result;
    if (!answered)
        mw_fail(error, MW_ERR_TIMEOUT, "no name server answers in time for %s", question->host);
    pthread_mutex_unlock(&question->lock);
    if (!answered)
        return MW_ERR_TIMEOUT;
    free_question(question);
    return result == 0 ? 0 : mw_fail(error, MW_ERR_SYSTEM, "%s", gai_strerror(result));
}

int mw_resolve(const char *host, const char *port, const struct addrinfo *hints, int64_t deadline,
               struct addrinfo **found, struct mw_error *error)
{
    struct addrinfo numbers = *hints;
    numbers.ai_flags |= AI_NUMERICHOST | AI_NUMERICSERV;
    *found = NULL;
    int result = getaddrinfo(host, port, &numbers, found);
    if (result == 0)
        return 0;
    if (!host)
        return mw_fail(error, MW_ERR_SYSTEM, "%s", gai_strerror(result));
    struct question *question = new_question(host, port, hints);
    int code = start_thread(question);
    if (code == 0)
        return await(question, deadline, found, error);
    free_question(question);
    return mw_fail(error, MW_ERR_SYSTEM, "cannot start a thread: %s", strerror(code));
}
