/*
 * settings: what scanners are told by the configuration; plain values, all
 * borrowed from whoever loaded them. A zeroed struct scans nothing.
 */
#ifndef MW_SCANNERS_SETTINGS_H
#define MW_SCANNERS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/arena.h"
#include "core/report.h"
#include "scanners/condition.h"
#include "scanners/exec.h"

struct mw_type_settings {
    bool enabled;
};

struct mw_yara_settings {
    struct mw_texts rules;         /* rule files and folders for attachments */
    struct mw_texts body_rules;    /* for decoded body texts */
    struct mw_texts message_rules; /* for the raw message */
    enum mw_severity severity;     /* of rules whose metadata names none */
    bool skip_broken;              /* load the good files when some do not compile */
    unsigned time_ms;              /* per part; 0: the message's budget only */
};

struct mw_clamav_settings {
    const char *database; /* folder or file; NULL: no ClamAV */
    bool scan_texts;      /* decoded texts too */
    bool scan_message;    /* the raw message too */
    bool heuristics;      /* Heuristics.* detection, of these kinds: */
    bool encrypted, broken, broken_media, macros, phishing, partitions, structured;
    bool pua;           /* potentially unwanted applications */
    bool official_only; /* only databases that ClamAV's makers signed */
    enum mw_severity heuristic_severity, pua_severity;
    /* Bounds; 0: ClamAV's own. */
    size_t max_scan_size, max_file_size, max_embedded_pe, max_html_normalize, max_html_no_tags,
        max_script_normalize, max_zip_type_recognition, pcre_max_file_size;
    unsigned max_files, max_recursion, max_scan_ms, max_partitions, max_icons, max_rec_hwp3,
        pcre_match_limit, pcre_recursion_limit;
    unsigned max_age_days; /* warn when the database is older; 0: never */
    const char *scratch;   /* folder for temporary files, until a worker has its own */
};

struct mw_pe_settings {
    bool enabled;
};

struct mw_fuzzy_settings {
    bool enabled;
};

struct mw_scan_settings {
    struct mw_texts order; /* names of scanners, those to run in this order; empty: all */
    struct mw_scan_conditions conditions;
    struct mw_exec_programs programs;
    struct mw_exec_runner runner;    /* of the programs */
    bool message_hashes;             /* MD5, SHA-1 and SHA-512 of the raw message too */
    enum mw_severity ambiguous;      /* of mail that can be read in several ways */
    struct mw_texts may_stay_closed; /* kinds and types of containers, with wildcards */
    enum mw_severity encrypted[MW_ENCRYPTED_KINDS];
    struct mw_type_settings type;
    struct mw_yara_settings yara;
    struct mw_clamav_settings clamav;
    struct mw_pe_settings pe;
    struct mw_fuzzy_settings fuzzy;
};

/* The documented defaults: file types, fuzzy hashes and PE facts, no rules and no
 * database, and the severities and limits that hold once there are some. */
void mw_scan_settings_default(struct mw_scan_settings *settings);

#endif
