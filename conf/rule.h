/*
 * rule: one rule of the list policy, as written; doc/policy.md says what each means.
 */
#ifndef MW_CONF_RULE_H
#define MW_CONF_RULE_H

#include <stddef.h>

#include "core/arena.h"

/* How a condition that may be either is written. */
enum mw_maybe { MW_ANY, MW_YES, MW_NO };
enum mw_direction { MW_ANY_DIRECTION, MW_INBOUND, MW_OUTBOUND };

/* All that is said must hold. In a list one of its items must hold and none of those
 * that begin with "!"; all are globs without regard to case unless said otherwise. */
struct mw_config_when {
    struct mw_texts verdict; /* names of verdicts */
    struct mw_texts failure; /* names of conditions, or "any" */
    /* One finding must fulfil all of these. */
    struct mw_texts scanner, signature, tag;
    struct mw_texts severity; /* names of severities */
    /* One attachment must fulfil all of these. */
    struct mw_texts attachment_name, attachment_extension, attachment_type;
    struct mw_texts is_new; /* names of filters */
    struct mw_texts sender, sender_domain, from, from_domain, recipient, recipient_domain;
    struct mw_texts client, client_name; /* client: networks */
    struct mw_texts login, daemon;
    unsigned authenticated, tls;   /* enum mw_maybe */
    unsigned direction;            /* enum mw_direction */
    size_t size_above, size_below; /* 0: no bound */
};

struct mw_config_rule {
    const char *name;
    struct mw_config_when when;
    unsigned action;    /* enum mw_action, never MW_ACTION_NONE */
    const char *text;   /* of reject and tempfail: "550 5.7.1 words" */
    const char *reason; /* of quarantine */
    struct mw_texts redirect, add_recipient;
    struct mw_texts add_header, set_header; /* "Name: value" */
    const char *subject_prefix;
};

#endif
