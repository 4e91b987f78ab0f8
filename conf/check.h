/*
 * check: what a text in the configuration must look like, beyond being a text. Each
 * is 0 or MW_ERR_INPUT with what is wrong and what is allowed.
 */
#ifndef MW_CONF_CHECK_H
#define MW_CONF_CHECK_H

#include "core/error.h"

/* What may stand in ${...}, NULL-terminated. */
extern const char *const mw_placeholders[];

/* Words with placeholders, one line. */
int mw_check_words(const char *text, struct mw_error *error);

/* "CODE ENHANCED words" with placeholders, lines parted by \n: codes of a refusal
 * (5xx, 5.x.x), of a temporary one (4xx but 421, 4.x.x), of either. Both codes may be
 * left out. */
int mw_check_reject_text(const char *text, struct mw_error *error);
int mw_check_tempfail_text(const char *text, struct mw_error *error);
int mw_check_reply_text(const char *text, struct mw_error *error);

/* The first characters of header names that may be removed where they arrive. */
int mw_check_prefix(const char *text, struct mw_error *error);
int mw_check_authserv_id(const char *text, struct mw_error *error);
int mw_check_header(const char *text, struct mw_error *error);  /* "Name: words" */
int mw_check_address(const char *text, struct mw_error *error); /* user@domain */
int mw_check_network(const char *text, struct mw_error *error);
int mw_check_rule_name(const char *text, struct mw_error *error);

/* Items of conditions: "!" may stand before each. */
int mw_check_network_item(const char *text, struct mw_error *error);
int mw_check_verdict(const char *text, struct mw_error *error);
int mw_check_severity(const char *text, struct mw_error *error);
int mw_check_host_port(const char *text, struct mw_error *error);
int mw_check_failure(const char *text, struct mw_error *error);
int mw_check_extension(const char *text, struct mw_error *error);

/*
 * Takes the codes from the beginning of a reply's text: code gets "550", enhanced
 * "5.7.1", or "" where there is none. Returns the words behind them.
 */
const char *mw_reply_codes(const char *text, char code[4], char enhanced[12]);

#endif
