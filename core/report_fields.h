/*
 * report_fields: the one table from which reports are written and read.
 */
#ifndef MW_CORE_REPORT_FIELDS_H
#define MW_CORE_REPORT_FIELDS_H

#include <stddef.h>

enum mw_field_kind {
    MW_FIELD_TEXT,    /* const char *, left out when NULL */
    MW_FIELD_TEXTS,   /* struct mw_texts */
    MW_FIELD_INTEGER, /* int64_t, empty when 0 */
    MW_FIELD_ENUM,    /* int-sized enum, by name */
    MW_FIELD_OBJECT,  /* a struct with its own table, left out when empty */
    MW_FIELD_LIST,    /* MW_LIST of structs with their own table */
    MW_FIELD_JSON,    /* const char * that is a JSON object */
    MW_FIELD_FLAGS,   /* struct mw_flags as an object of booleans */
    MW_FIELD_NUMBERS, /* struct mw_numbers as an object of integers */
    MW_FIELD_HEADERS  /* struct mw_headers as three members */
};

enum { MW_FIELD_ALWAYS = 1 /* written also when empty, and required when read */ };

struct mw_fields;

struct mw_field {
    const char *name;
    size_t offset;
    enum mw_field_kind kind;
    int flags;
    const struct mw_fields *inner; /* of OBJECT and LIST */
    const char *const *names;      /* of ENUM, NULL-terminated, by value */
};

struct mw_fields {
    const char *what; /* for error messages */
    size_t size;      /* of the struct */
    const struct mw_field *fields;
    size_t count;
};

extern const struct mw_fields mw_report_fields, mw_engine_fields, mw_finding_fields;

#endif
