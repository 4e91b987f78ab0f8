/*
 * match: whether the conditions of a rule hold. Pure; part of policy.
 */
#ifndef MW_MILTER_MATCH_H
#define MW_MILTER_MATCH_H

#include "core/network.h"
#include "milter/policy.h"

/* A network of a list, which may be excluded by "!". */
struct mw_match_network {
    struct mw_network network;
    bool excluded;
};
MW_LIST_TYPE(mw_match_networks, struct mw_match_network);

/* Reads a list of networks, each with an optional "!" before it. */
int mw_match_networks_read(struct mw_match_networks *networks, const struct mw_texts *texts,
                           struct mw_arena *arena, struct mw_error *error);
/* An empty list has every address. */
bool mw_match_networks_have(const struct mw_match_networks *networks, const char *address);

/* A message as conditions see it. */
struct mw_match_message {
    const struct mw_policy_facts *facts;
    mw_failures failures; /* all of them */
    bool outbound;
};

/* All but the conditions on recipients; clients is when.client, read. */
bool mw_match_message_fits(const struct mw_config_when *when,
                           const struct mw_match_networks *clients,
                           const struct mw_match_message *message);

/* The conditions on recipients; NULL fits only when there is none. */
bool mw_match_recipient_fits(const struct mw_config_when *when, const char *recipient);

/* Whether a finding, or an attachment, is one that the conditions on these ask for. */
bool mw_match_finding(const struct mw_config_when *when, const struct mw_finding *finding);
bool mw_match_attachment(const struct mw_config_when *when, const struct mw_attachment *file);

/* Whether there are conditions on attachments. */
bool mw_match_asks_attachments(const struct mw_config_when *when);

/* Whether a condition on failures names this one, or any. */
bool mw_match_names_failure(const struct mw_config_when *when, enum mw_failure failure);

#endif
