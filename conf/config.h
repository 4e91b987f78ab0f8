/*
 * config: one file in libconfig's syntax, read by one table of options (options.c).
 * (Debian's libucl is another library, for compression; the configuration library
 * of that name is not packaged.)
 */
#ifndef MW_CONF_CONFIG_H
#define MW_CONF_CONFIG_H

#include <stdint.h>
#include <stdio.h>

#include "bloom/settings.h"
#include "conf/rule.h"
#include "core/limits.h"
#include "core/log.h"
#include "core/memfile.h"
#include "core/report.h"
#include "scanners/settings.h"
#include "store/settings.h"

struct mw_config_workers {
    unsigned count;      /* 0: one a processor */
    unsigned per_client; /* 0: one less than count */
    unsigned recycle_messages;
    size_t recycle_growth, memory_max;
    unsigned sandbox; /* enum mw_sandbox_mode */
    const char *user;
    const char *scratch;
    const char *keep_folder;
    unsigned keep_most;
    bool reuse_verdicts;
    unsigned reuse_seconds, reuse_entries;
    unsigned remember_seconds;
};

/* What is done with a message, and the words of a refusal. */
struct mw_config_milter {
    struct mw_texts listen;
    const char *socket_mode, *socket_group, *user, *pid_file, *control;
    size_t memory_max, core_size;
    unsigned queue_ms, queue_most, grace_ms;
    unsigned mode;                                    /* 0 observe, 1 act */
    unsigned clean, suspicious, malicious, unscanned; /* enum mw_action */
    unsigned repeated, repeat_most; /* enum mw_action; times a message that fails is put off */
    const char *reject_text, *tempfail_text, *quarantine_text;
    const char *header_prefix;
    bool sender_new_header;
    const char *authserv_id; /* NULL: no Authentication-Results */
    struct mw_texts internal_networks;
    unsigned recipients; /* enum mw_recipients */
    unsigned removed;    /* 0 record, 1 quarantine */
    const char *removed_to;
};

/* Sockets that milter.listen may name. */
enum { MW_CONFIG_LISTENERS = 32 };

/* Several recipients with different outcomes: what is done with the message. */
enum mw_recipients { MW_STRICTEST, MW_LENIENT, MW_EACH };

/* What is done when something did not work; enum mw_action each. */
struct mw_config_failure {
    unsigned worker_crashed, timed_out, bad_report, queue_full, out_of_resources, too_large, limits,
        unreadable, not_opened, engine_missing, store_unavailable, internal_error;
    unsigned refusal_unrecorded; /* MW_ACTION_NONE: refused as decided */
};

struct mw_config {
    struct mw_arena *arena;                /* owns everything in it */
    const struct mw_config_source *source; /* what it was read from; NULL: the defaults */
    unsigned log_target, log_form, log_level;
    struct mw_limits limits;
    struct mw_scan_settings scan;
    struct mw_config_workers workers;
    MW_LIST(struct mw_tracked_settings) filters; /* one a section in the section filter */
    struct mw_store_settings store;
    struct mw_config_milter milter;
    const char *metrics_listen; /* HOST:PORT; NULL: no metrics over HTTP */
    struct mw_config_failure failure;
    MW_LIST(struct mw_config_rule) rules; /* the list policy */
};

/*
 * Reads path and what it takes in (conf/source.h). Every mistake in it goes to mistakes (from
 * arena) as a sentence with file, line and option; NULL when there is one, or when the file cannot
 * be read. Without path (NULL): the defaults. The caller frees the configuration.
 */
struct mw_config *mw_config_load(const char *path, struct mw_arena *arena,
                                 struct mw_texts *mistakes);
void mw_config_free(struct mw_config *config);

/*
 * All files that config was read from, as they were then, in a sealed memory file (empty for
 * the defaults), which the caller frees; NULL with error. Its bytes make the same
 * configuration in another process, whatever has become of the files, and mistakes in it
 * have the same places.
 */
struct mw_memfile *mw_config_pack(const struct mw_config *config, struct mw_error *error);
struct mw_config *mw_config_load_packed(struct mw_bytes packed, struct mw_arena *arena,
                                        struct mw_texts *mistakes);

/* Writes the commented sample file, every option with its default. */
void mw_config_sample(FILE *out);

/* Whether a section ("redis", "filter", ...) says the same in both. */
bool mw_config_same(const struct mw_config *one, const struct mw_config *other,
                    const char *section);

/* Whether an option outside of named sections and rules says the same in both. */
bool mw_config_same_option(const struct mw_config *one, const struct mw_config *other,
                           const char *section, const char *name);

/* Writes the manual page of the file, in mdoc(7). */
void mw_config_manual(FILE *out);

/* Writes the values in force, as a file that would load to the same. */
void mw_config_dump(const struct mw_config *config, FILE *out);

#endif
