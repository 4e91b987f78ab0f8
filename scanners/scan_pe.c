/* scan_pe: facts about Windows programs, as YARA's pe module sees them. */
#include <jansson.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yara.h>

#include "core/ascii.h"
#include "core/utf8.h"
#include "scanners/scanners.h"

/* Bounds of what one program adds to a report. */
enum { SECTIONS = 96, LIBRARIES = 128, FUNCTIONS = 512, EXPORTS = 128, SIGNATURES = 8 };

/* What YARA has where a fact is missing, as the signed number that facts are. */
static const int64_t undefined = (int64_t)YR_UNDEFINED;

static const char rule[] = "import \"pe\"\nrule is_pe { condition: pe.is_pe }\n";

struct pe_engine {
    YR_RULES *rules;
    YR_SCANNER *scanner;
};

struct looking {
    const struct mw_scan_part *part;
    struct mw_arena *arena;
    json_t *facts; /* NULL until it turned out to be a program */
};

static void unload(void *engine)
{
    struct pe_engine *pe = engine;
    if (pe->scanner)
        yr_scanner_destroy(pe->scanner);
    if (pe->rules)
        yr_rules_destroy(pe->rules);
    free(pe);
    yr_finalize();
}

static int load(const struct mw_scan_settings *settings, struct mw_arena *arena,
                struct mw_texts *warnings, void **engine, struct mw_error *error)
{
    (void)arena;
    (void)warnings;
    if (!settings->pe.enabled)
        return 0;
    struct pe_engine *pe = calloc(1, sizeof *pe);
    YR_COMPILER *compiler = NULL;
    if (!pe)
        return mw_fail_errno(error, "cannot prepare the PE scanner");
    if (yr_initialize() != ERROR_SUCCESS) {
        free(pe);
        return mw_fail(error, MW_ERR_INTERNAL, "cannot start YARA");
    }
    bool ready = yr_compiler_create(&compiler) == ERROR_SUCCESS &&
                 yr_compiler_add_string(compiler, rule, NULL) == 0 &&
                 yr_compiler_get_rules(compiler, &pe->rules) == ERROR_SUCCESS &&
                 yr_scanner_create(pe->rules, &pe->scanner) == ERROR_SUCCESS;
    if (compiler)
        yr_compiler_destroy(compiler);
    if (!ready) {
        unload(pe);
        return mw_fail(error, MW_ERR_MISSING, "this libyara has no pe module");
    }
    *engine = pe;
    return 0;
}

/*
 * Debian's libyara keeps its functions for reading a module's objects to itself,
 * but not what they are made of. A path is names with dots between; each [] in it
 * takes the next of the two indices.
 */
static YR_OBJECT *member(YR_OBJECT *object, const char *name, size_t length)
{
    if (!object || object->type != OBJECT_TYPE_STRUCTURE)
        return NULL;
    const YR_STRUCTURE_MEMBER *entry = object_as_structure(object)->members;
    for (; entry; entry = entry->next)
        if (strncmp(entry->object->identifier, name, length) == 0 &&
            entry->object->identifier[length] == '\0')
            return entry->object;
    return NULL;
}

static YR_OBJECT *item(YR_OBJECT *object, int index)
{
    if (!object || object->type != OBJECT_TYPE_ARRAY)
        return NULL;
    const YR_ARRAY_ITEMS *items = object_as_array(object)->items;
    return items && index >= 0 && index < items->length ? items->objects[index] : NULL;
}

static YR_OBJECT *object_at(YR_OBJECT *object, const char *path, int first, int second)
{
    int index = first;
    while (object && *path) {
        size_t length = strcspn(path, ".[");
        object = member(object, path, length);
        path += length;
        if (*path == '[') {
            object = item(object, index);
            index = second;
            path += 2;
        }
        path += *path == '.';
    }
    return object;
}

static int64_t integer_at(YR_OBJECT *pe, const char *path, int first, int second)
{
    const YR_OBJECT *object = object_at(pe, path, first, second);
    return object && object->type == OBJECT_TYPE_INTEGER ? object->value.i : undefined;
}

static const SIZED_STRING *string_at(YR_OBJECT *pe, const char *path, int first, int second)
{
    const YR_OBJECT *object = object_at(pe, path, first, second);
    return object && object->type == OBJECT_TYPE_STRING ? object->value.ss : NULL;
}

/* A text of the module as JSON; NULL when it is not there. */
static json_t *text_json(struct mw_arena *arena, const SIZED_STRING *text)
{
    if (!text || text->length == 0)
        return NULL;
    struct mw_bytes bytes = {(const void *)text->c_string, text->length};
    while (bytes.size > 0 && bytes.data[bytes.size - 1] == '\0')
        bytes.size--;
    if (bytes.size > 256)
        bytes.size = 256;
    return json_string(mw_utf8_clean_line(arena, bytes, NULL));
}

static void set(json_t *object, const char *key, json_t *value)
{
    if (value)
        json_object_set_new(object, key, value);
}

static void add_integer(json_t *object, const char *key, int64_t value)
{
    if (value != undefined)
        json_object_set_new(object, key, json_integer(value));
}

/* How many of a counted thing to look at. */
static int bounded(int64_t count, int most)
{
    return count == undefined || count < 0 ? 0 : count > most ? most : (int)count;
}

/* Shannon entropy in bits a byte. */
static double entropy(struct mw_bytes bytes)
{
    size_t counts[256] = {0};
    double sum = 0;
    for (size_t i = 0; i < bytes.size; i++)
        counts[bytes.data[i]]++;
    for (size_t i = 0; i < 256; i++) {
        if (counts[i] == 0)
            continue;
        double share = (double)counts[i] / (double)bytes.size;
        sum -= share * log2(share);
    }
    return sum;
}

static json_t *sections(struct looking *looking, YR_OBJECT *pe)
{
    json_t *list = json_array();
    int count = bounded(integer_at(pe, "number_of_sections", 0, 0), SECTIONS);
    for (int i = 0; i < count; i++) {
        json_t *section = json_object();
        int64_t offset = integer_at(pe, "sections[].raw_data_offset", i, 0);
        int64_t size = integer_at(pe, "sections[].raw_data_size", i, 0);
        set(section, "name", text_json(looking->arena, string_at(pe, "sections[].name", i, 0)));
        add_integer(section, "virtual_size", integer_at(pe, "sections[].virtual_size", i, 0));
        add_integer(section, "size", size);
        if (offset >= 0 && size > 0 && (size_t)offset < looking->part->data.size) {
            struct mw_bytes data =
                mw_bytes_slice(looking->part->data, (size_t)offset, (size_t)size);
            set(section, "entropy", json_real(round(entropy(data) * 1000) / 1000));
        }
        json_array_append_new(list, section);
    }
    return list;
}

/* The library's name as the imphash has it: lower case, without its extension. */
static const char *import_library(struct mw_arena *arena, const char *library)
{
    char *name = mw_ascii_lower_text(mw_arena_dup(arena, library));
    char *dot = strrchr(name, '.');
    if (dot && (strcmp(dot, ".dll") == 0 || strcmp(dot, ".ocx") == 0 || strcmp(dot, ".sys") == 0))
        *dot = '\0';
    return name;
}

static void digest_import(EVP_MD_CTX *digest, struct mw_arena *arena, bool first,
                          const char *library, const char *function)
{
    const char *name = import_library(arena, function); /* for its lower case */
    const char *text = mw_arena_printf(arena, "%s%s.%s", first ? "" : ",", library, name);
    EVP_DigestUpdate(digest, text, strlen(text));
}

static json_t *imports(struct looking *looking, YR_OBJECT *pe, EVP_MD_CTX *digest)
{
    json_t *all = json_object();
    bool first = true;
    int libraries = bounded(integer_at(pe, "number_of_imports", 0, 0), LIBRARIES);
    for (int i = 0; i < libraries; i++) {
        json_t *library =
            text_json(looking->arena, string_at(pe, "import_details[].library_name", i, 0));
        json_t *names = json_array();
        int functions =
            bounded(integer_at(pe, "import_details[].number_of_functions", i, 0), FUNCTIONS);
        for (int j = 0; library && j < functions; j++) {
            json_t *name =
                text_json(looking->arena, string_at(pe, "import_details[].functions[].name", i, j));
            if (!name)
                continue;
            digest_import(digest, looking->arena, first,
                          import_library(looking->arena, json_string_value(library)),
                          json_string_value(name));
            first = false;
            json_array_append_new(names, name);
        }
        if (library)
            json_object_set_new(all, json_string_value(library), names);
        else
            json_decref(names);
        json_decref(library);
    }
    return all;
}

/* Imports, and the MD5 over them by which kin are known. */
static void add_imports(struct looking *looking, YR_OBJECT *pe)
{
    unsigned char md5[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    char hex[2 * EVP_MAX_MD_SIZE + 1] = "";
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    if (!digest || EVP_DigestInit_ex(digest, EVP_md5(), NULL) != 1) {
        EVP_MD_CTX_free(digest);
        return;
    }
    json_t *all = imports(looking, pe, digest);
    EVP_DigestFinal_ex(digest, md5, &size);
    EVP_MD_CTX_free(digest);
    mw_hex_write(hex, md5, size);
    if (json_object_size(all) > 0)
        set(looking->facts, "imphash", json_string(hex));
    set(looking->facts, "imports", all);
}

static json_t *exports(struct looking *looking, YR_OBJECT *pe)
{
    json_t *list = json_array();
    int count = bounded(integer_at(pe, "number_of_exports", 0, 0), EXPORTS);
    for (int i = 0; i < count; i++) {
        json_t *name = text_json(looking->arena, string_at(pe, "export_details[].name", i, 0));
        if (name)
            json_array_append_new(list, name);
    }
    return list;
}

static json_t *versions(struct looking *looking, YR_OBJECT *pe)
{
    json_t *all = json_object();
    int count = bounded(integer_at(pe, "number_of_version_infos", 0, 0), 64);
    for (int i = 0; i < count; i++) {
        json_t *key = text_json(looking->arena, string_at(pe, "version_info_list[].key", i, 0));
        json_t *value = text_json(looking->arena, string_at(pe, "version_info_list[].value", i, 0));
        if (key && value)
            json_object_set(all, json_string_value(key), value);
        json_decref(key);
        json_decref(value);
    }
    return all;
}

static json_t *signatures(struct looking *looking, YR_OBJECT *pe)
{
    json_t *list = json_array();
    int count = bounded(integer_at(pe, "number_of_signatures", 0, 0), SIGNATURES);
    for (int i = 0; i < count; i++) {
        json_t *one = json_object();
        set(one, "issuer", text_json(looking->arena, string_at(pe, "signatures[].issuer", i, 0)));
        set(one, "subject", text_json(looking->arena, string_at(pe, "signatures[].subject", i, 0)));
        set(one, "serial", text_json(looking->arena, string_at(pe, "signatures[].serial", i, 0)));
        json_array_append_new(list, one);
    }
    return list;
}

static void look(struct looking *looking, YR_OBJECT *pe)
{
    if (integer_at(pe, "is_pe", 0, 0) != 1)
        return;
    json_t *facts = looking->facts = json_object();
    add_integer(facts, "machine", integer_at(pe, "machine", 0, 0));
    add_integer(facts, "timestamp", integer_at(pe, "timestamp", 0, 0));
    add_integer(facts, "subsystem", integer_at(pe, "subsystem", 0, 0));
    add_integer(facts, "characteristics", integer_at(pe, "characteristics", 0, 0));
    add_integer(facts, "entry_point", integer_at(pe, "entry_point", 0, 0));
    set(facts, "pdb_path", text_json(looking->arena, string_at(pe, "pdb_path", 0, 0)));
    set(facts, "dll_name", text_json(looking->arena, string_at(pe, "dll_name", 0, 0)));
    set(facts, "sections", sections(looking, pe));
    add_imports(looking, pe);
    set(facts, "exports", exports(looking, pe));
    set(facts, "version_info", versions(looking, pe));
    set(facts, "signatures", signatures(looking, pe));
}

static int on_event(YR_SCAN_CONTEXT *context, int event, void *data, void *user)
{
    (void)context;
    if (event == CALLBACK_MSG_MODULE_IMPORTED)
        look(user, data);
    return CALLBACK_CONTINUE;
}

static int scan(void *engine, const struct mw_scan_part *part, struct mw_scan_result *result,
                struct mw_error *error)
{
    struct pe_engine *pe = engine;
    struct looking looking = {part, result->report->arena, NULL};
    if (part->data.size < 64 || memcmp(part->data.data, "MZ", 2) != 0)
        return 0;
    yr_scanner_set_callback(pe->scanner, on_event, &looking);
    yr_scanner_set_flags(pe->scanner, SCAN_FLAGS_NO_TRYCATCH);
    int code = yr_scanner_scan_mem(pe->scanner, part->data.data, part->data.size);
    if (looking.facts) {
        struct mw_finding *found = mw_scan_finding(result, part, "pe", "pe.info", MW_INFO);
        char *text = json_dumps(looking.facts, JSON_COMPACT);
        if (found) {
            found->message = "is a Windows program";
            found->details = text ? mw_arena_dup(result->report->arena, text) : NULL;
        }
        free(text);
        json_decref(looking.facts);
    }
    if (code != ERROR_SUCCESS)
        return mw_fail(error, MW_ERR_INTERNAL, "the scan failed with code %d", code);
    return 0;
}

const struct mw_scanner mw_scanner_pe = {
    .name = "pe",
    .kinds = MW_SCAN_ATTACHMENT,
    .fields = "machine, timestamp, subsystem, sections with entropy, imports, imphash, exports, "
              "version_info, signatures",
    .load = load,
    .scan = scan,
    .unload = unload,
    .by_bytes = true,
};
