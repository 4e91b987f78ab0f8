/*
 * settings: what the store is told by the configuration; plain values, all borrowed
 * from whoever loaded them. Times named _ms are milliseconds, those named _s seconds.
 */
#ifndef MW_STORE_SETTINGS_H
#define MW_STORE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"

/* How to reach Redis, and how long to wait for it. */
struct mw_redis_settings {
    const char *address; /* unix:PATH, HOST:PORT or [IPV6]:PORT; NULL: see sentinels */
    const char *user;    /* NULL: Redis' default user */
    const char *password_file;
    unsigned database;
    unsigned connect_ms, command_ms; /* at most, for connecting and for one flight */
    unsigned connections;            /* kept open at most */
    struct mw_texts sentinels;       /* addresses of Sentinels; they name the master */
    const char *master;              /* the name Sentinels know it by */
    const char *sentinel_user, *sentinel_password_file;
    bool tls;
    const char *tls_ca_file;                  /* NULL: the authorities the system trusts */
    const char *tls_cert_file, *tls_key_file; /* our own certificate; NULL: none */
    const char *tls_name; /* name the server's certificate must have; NULL: the host's */
};

enum mw_spool_full {
    MW_SPOOL_REFUSE,     /* a message that finds no room is not kept, and its saver told so */
    MW_SPOOL_DROP_OLDEST /* the oldest records make room, are counted and told */
};

/* Where messages wait while Redis is away. */
struct mw_spool_settings {
    const char *folder; /* NULL: no spool; a save fails when Redis is away */
    size_t size_max;    /* bytes of waiting records */
    unsigned full;      /* enum mw_spool_full */
    unsigned recent_s;  /* what Redis took is kept so long, for a Redis that forgets; 0: not */
    size_t recent_max;  /* bytes of that at most */
};

struct mw_store_settings {
    struct mw_redis_settings redis;
    struct mw_spool_settings spool;
    const char *prefix;      /* of all keys */
    bool data;               /* keep the bytes of attachments */
    size_t data_max;         /* of larger ones the facts only */
    size_t message_data_max; /* bytes of attachments kept of one message, but for those that
                                were attached as they are; 0: twice the message and 1 MB */
    unsigned compression;    /* zstd level for the bytes of attachments; 0: as they are */
    unsigned keep_messages_s, keep_attachments_s, keep_data_s, keep_indexes_s; /* 0: for ever */
    unsigned events_max; /* entries of the stream of events; 0: no events */
};

#endif
