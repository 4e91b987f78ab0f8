/*
 * option: the table that loader, sample, dump and error messages are made from.
 */
#ifndef MW_CONF_OPTION_H
#define MW_CONF_OPTION_H

#include "conf/config.h"

enum mw_option_type {
    MW_OPTION_BOOL,   /* bool */
    MW_OPTION_COUNT,  /* unsigned */
    MW_OPTION_SIZE,   /* size_t, with k, m, g */
    MW_OPTION_BIG,    /* uint64_t */
    MW_OPTION_TIME,   /* unsigned milliseconds, with ms, s, min, h, d */
    MW_OPTION_PERIOD, /* unsigned seconds, the same */
    MW_OPTION_REAL,   /* double */
    MW_OPTION_TEXT,   /* const char * */
    MW_OPTION_TEXTS,  /* struct mw_texts */
    MW_OPTION_NAME    /* unsigned: place in names */
};

struct mw_option {
    const char *section, *name;
    enum mw_option_type type;
    size_t offset;            /* in struct mw_config, or in a filter */
    const char *initial;      /* the default as written in a file; NULL: none */
    double least, most;       /* bounds of numbers, in the unit kept; of NAME the first
                                 place, of TEXTS how many there may be (0: any number) */
    const char *const *names; /* of NAME, NULL at the end; those from place least on */
    const char *help;
    /* Of TEXT and TEXTS: 0, or a code with what is wrong; NULL: any text will do. */
    int (*check)(const char *text, struct mw_error *error);
};

extern const struct mw_option mw_options[];
extern const size_t mw_option_count;

/*
 * A section of sections that people name themselves, as filter: { from: { ... }; };
 * each becomes an element of a list in struct mw_config. Adding one: a line in
 * mw_named_sections.
 */
struct mw_named_section {
    const char *section;
    const char *example; /* a name, for the sample file and for mistakes */
    const char *help;    /* a sentence for the sample file */
    const struct mw_option *options;
    size_t option_count;
    size_t size;   /* of an element, whose first member is its name (const char *) */
    size_t offset; /* of the list in struct mw_config */
    /* Completes an element that was read; mistakes are told by returning a text
     * (from arena). May be NULL. */
    const char *(*finish)(struct mw_arena *arena, void *element);
};

extern const struct mw_named_section mw_named_sections[];
extern const size_t mw_named_section_count;

/* The options of a rule of the list policy, and of its conditions (section
 * "policy.when"); offsets in struct mw_config_rule. */
extern const struct mw_option mw_rule_options[];
extern const size_t mw_rule_option_count;

/* What is wrong with a rule as a whole, or NULL. */
const char *mw_rule_fault(const struct mw_config_rule *rule);

/*
 * Sets the member of object that option describes from text, as written in a file.
 * MW_ERR_INPUT with what is allowed. Texts are taken into arena.
 */
int mw_option_set(const struct mw_option *option, void *object, struct mw_arena *arena,
                  const char *text, struct mw_error *error);

/* Whether such a value stands in a file without quotes: booleans and plain numbers. */
bool mw_option_is_bare(const struct mw_option *option, const char *text);

/* The value as it would be written in a file, in arena; NULL when there is none.
 * For MW_OPTION_TEXTS a list in brackets. */
const char *mw_option_get(const struct mw_option *option, const void *object,
                          struct mw_arena *arena);

#endif
