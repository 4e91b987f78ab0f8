/* yara_rules: each source is compiled alone first, so that one mistake does not
 * hide the next; the good ones are then compiled together. */
#include "scanners/yara_rules.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "scanners/yara_context.h"

enum { SETS = 64, FILES = 10000, INCLUDE_SIZE = 16 << 20, FOLDER_DEPTH = 16 };
enum { ALL = MW_YARA_VARIABLES_MOST /* variables: none left out */ };

const struct mw_yara_variable mw_yara_variables[] = {
    {"filename", MW_YARA_TEXT},     {"extension", MW_YARA_TEXT},
    {"content_type", MW_YARA_TEXT}, {"file_type", MW_YARA_TEXT},
    {"path", MW_YARA_TEXT},         {"sender", MW_YARA_TEXT},
    {"subject", MW_YARA_TEXT},      {"sender_domain", MW_YARA_TEXT},
    {"size", MW_YARA_INTEGER},      {"sender_new", MW_YARA_BOOLEAN},
};
const size_t mw_yara_variable_count = sizeof mw_yara_variables / sizeof *mw_yara_variables;
_Static_assert(sizeof mw_yara_variables / sizeof *mw_yara_variables <= MW_YARA_VARIABLES_MOST,
               "a context has room for all variables");

struct mw_yara_rules {
    YR_RULES *rules[SETS];
    YR_SCANNER *scanners[SETS];
    size_t count;
    struct mw_yara_context context;
};

/* Loading under way. */
struct loading {
    struct mw_arena *arena;
    struct mw_texts sources, compiled; /* paths */
    struct mw_texts roots;             /* of each source: the folder includes may come from */
    struct mw_texts mistakes;
    struct mw_yara_context words; /* of the source at hand */
};

/* What YARA's callbacks are told while one file compiles. */
struct compiling {
    struct loading *loading;
    const char *file, *root;
    bool failed;
};

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), length = strlen(end);
    return size > length && strcmp(text + size - length, end) == 0;
}

static void mistake(struct loading *loading, const char *text)
{
    mw_texts_add(loading->arena, &loading->mistakes, text);
}

static void on_message(int level, const char *file, int line, const YR_RULE *rule,
                       const char *message, void *user)
{
    struct compiling *compiling = user;
    (void)rule;
    if (level != YARA_ERROR_LEVEL_ERROR)
        return;
    compiling->failed = true;
    mistake(compiling->loading, mw_arena_printf(compiling->loading->arena, "%s:%d: %s",
                                                file ? file : compiling->file, line, message));
}

static char *read_include(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat facts;
    char *text = NULL;
    if (fd >= 0 && fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode) &&
        facts.st_size <= INCLUDE_SIZE) {
        text = calloc(1, (size_t)facts.st_size + 1);
        if (text && read(fd, text, (size_t)facts.st_size) != facts.st_size) {
            free(text);
            text = NULL;
        }
    }
    if (fd >= 0)
        close(fd);
    return text;
}

/* An include, relative to the file that asks, inside the rule folder. */
static const char *on_include(const char *name, const char *calling, const char *space, void *user)
{
    struct compiling *compiling = user;
    (void)space;
    char folder[PATH_MAX], wanted[PATH_MAX], real[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", calling && *calling ? calling : compiling->file);
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
    else
        snprintf(folder, sizeof folder, ".");
    int length = snprintf(wanted, sizeof wanted, "%s/%s", folder, name);
    size_t root = strlen(compiling->root);
    if (length < 0 || length >= (int)sizeof wanted || !realpath(wanted, real) ||
        strncmp(real, compiling->root, root) != 0 || real[root] != '/')
        return NULL;
    char *text = read_include(real);
    if (text)
        mw_yara_context_read(&compiling->loading->words, mw_bytes_of(text));
    return text;
}

/* What a source's own text asks for. */
static void note_context(struct mw_yara_context *context, FILE *file)
{
    char *line = NULL;
    size_t room = 0;
    for (ssize_t size; (size = getline(&line, &room, file)) > 0;)
        mw_yara_context_read(context, (struct mw_bytes){(const unsigned char *)line, (size_t)size});
    free(line);
    rewind(file);
}

static void free_include(const char *text, void *user)
{
    (void)user;
    union {
        const char *given;
        char *ours;
    } back = {.given = text};
    free(back.ours);
}

/* All but one, or all. */
static void define_variables(YR_COMPILER *compiler, size_t but)
{
    for (size_t i = 0; i < mw_yara_variable_count; i++) {
        const struct mw_yara_variable *variable = &mw_yara_variables[i];
        if (i == but)
            continue;
        if (variable->type == MW_YARA_TEXT)
            yr_compiler_define_string_variable(compiler, variable->name, "");
        else if (variable->type == MW_YARA_INTEGER)
            yr_compiler_define_integer_variable(compiler, variable->name, 0);
        else
            yr_compiler_define_boolean_variable(compiler, variable->name, 0);
    }
}

/* The file's name without folder and extension. */
static const char *name_space(struct mw_arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *name = mw_arena_dup(arena, slash ? slash + 1 : path);
    char *dot = strrchr(name, '.');
    if (dot && dot != name)
        *dot = '\0';
    return name;
}

/* Adds one source to a compiler; false with the mistakes noted. */
static bool add_source(YR_COMPILER *compiler, struct compiling *compiling)
{
    FILE *file = fopen(compiling->file, "re");
    if (!file) {
        mistake(compiling->loading, mw_arena_printf(compiling->loading->arena, "%s: %s",
                                                    compiling->file, strerror(errno)));
        return false;
    }
    note_context(&compiling->loading->words, file);
    yr_compiler_set_callback(compiler, on_message, compiling);
    yr_compiler_set_include_callback(compiler, on_include, free_include, compiling);
    int errors = yr_compiler_add_file(
        compiler, file, name_space(compiling->loading->arena, compiling->file), compiling->file);
    fclose(file);
    return errors == 0 && !compiling->failed;
}

/* Whether a source does so with all variables but one, or with all. */
static bool compiles(struct loading *loading, size_t index, size_t but)
{
    YR_COMPILER *compiler = NULL;
    struct compiling compiling = {loading, loading->sources.items[index],
                                  loading->roots.items[index], false};
    if (yr_compiler_create(&compiler) != ERROR_SUCCESS) {
        mistake(loading, "YARA cannot start its compiler");
        return false;
    }
    define_variables(compiler, but);
    bool good = add_source(compiler, &compiling);
    yr_compiler_destroy(compiler);
    return good;
}

/* Whether a source compiles. Notes which variables it asks for: those without which it
 * does not; only variables that its text names are tried. */
static bool compiles_alone(struct loading *loading, size_t index, struct mw_yara_rules *set)
{
    loading->words = (struct mw_yara_context){0};
    if (!compiles(loading, index, ALL))
        return false;
    const struct mw_yara_context words = loading->words;
    size_t mistakes = loading->mistakes.count;
    for (size_t i = 0; i < mw_yara_variable_count; i++)
        if (words.uses[i] && !set->context.uses[i])
            set->context.uses[i] = !compiles(loading, index, i);
    loading->mistakes.count = mistakes;
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void gather(struct loading *loading, const char *path, const char *root, unsigned depth);

static void gather_folder(struct loading *loading, const char *path, const char *root,
                          unsigned depth)
{
    DIR *folder = opendir(path);
    struct mw_texts names = {0};
    if (!folder) {
        mistake(loading, mw_arena_printf(loading->arena, "%s: %s", path, strerror(errno)));
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder));)
        if (entry->d_name[0] != '.')
            mw_texts_add(loading->arena, &names, mw_arena_dup(loading->arena, entry->d_name));
    closedir(folder);
    if (names.count > 0)
        qsort(names.items, names.count, sizeof *names.items, compare_names);
    for (size_t i = 0; i < names.count; i++) {
        const char *inner = mw_arena_printf(loading->arena, "%s/%s", path, names.items[i]);
        struct stat facts;
        bool rule =
            ends_with(inner, ".yar") || ends_with(inner, ".yara") || ends_with(inner, ".yarc");
        if (lstat(inner, &facts) == 0 &&
            (S_ISDIR(facts.st_mode) || (S_ISREG(facts.st_mode) && rule)))
            gather(loading, inner, root, depth + 1);
    }
}

static void gather(struct loading *loading, const char *path, const char *root, unsigned depth)
{
    struct stat facts;
    if (stat(path, &facts) != 0) {
        mistake(loading, mw_arena_printf(loading->arena, "%s: %s", path, strerror(errno)));
        return;
    }
    if (S_ISDIR(facts.st_mode)) {
        if (depth < FOLDER_DEPTH)
            gather_folder(loading, path, root, depth);
        return;
    }
    struct mw_error why = {0};
    if (mw_file_check(path, &why) != 0) {
        mistake(loading, mw_arena_dup(loading->arena, why.text));
        return;
    }
    if (loading->sources.count + loading->compiled.count >= FILES) {
        mistake(loading,
                mw_arena_printf(loading->arena, "%s: more than %d rule files", path, FILES));
        return;
    }
    if (ends_with(path, ".yarc")) {
        mw_texts_add(loading->arena, &loading->compiled, path);
        return;
    }
    mw_texts_add(loading->arena, &loading->sources, path);
    mw_texts_add(loading->arena, &loading->roots, root);
}

/* The folder a path's includes may come from, resolved. */
static const char *root_of(struct mw_arena *arena, const char *path)
{
    char real[PATH_MAX];
    struct stat facts;
    if (!realpath(path, real) || stat(real, &facts) != 0)
        return path;
    char *slash = strrchr(real, '/');
    if (!S_ISDIR(facts.st_mode) && slash)
        *slash = '\0';
    return mw_arena_dup(arena, real);
}

static bool add_rules(struct mw_yara_rules *set, YR_RULES *rules)
{
    YR_SCANNER *scanner = NULL;
    if (set->count >= SETS || yr_scanner_create(rules, &scanner) != ERROR_SUCCESS) {
        yr_rules_destroy(rules);
        return false;
    }
    mw_yara_context_ask(&set->context, scanner);
    set->rules[set->count] = rules;
    set->scanners[set->count++] = scanner;
    return true;
}

/* All good sources together, as one set of rules. */
static void compile_together(struct loading *loading, struct mw_yara_rules *set)
{
    YR_COMPILER *compiler = NULL;
    YR_RULES *rules = NULL;
    size_t good = 0;
    if (loading->sources.count == 0 || yr_compiler_create(&compiler) != ERROR_SUCCESS)
        return;
    define_variables(compiler, ALL);
    for (size_t i = 0; i < loading->sources.count; i++) {
        struct compiling compiling = {loading, loading->sources.items[i], loading->roots.items[i],
                                      false};
        if (compiles_alone(loading, i, set) && add_source(compiler, &compiling))
            good++;
    }
    if (good > 0 && yr_compiler_get_rules(compiler, &rules) == ERROR_SUCCESS)
        add_rules(set, rules);
    yr_compiler_destroy(compiler);
}

static void load_compiled(struct loading *loading, struct mw_yara_rules *set)
{
    if (loading->compiled.count > 0)
        mw_yara_context_all(&set->context);
    for (size_t i = 0; i < loading->compiled.count; i++) {
        YR_RULES *rules = NULL;
        int code = yr_rules_load(loading->compiled.items[i], &rules);
        if (code == ERROR_SUCCESS && add_rules(set, rules))
            continue;
        mistake(loading, mw_arena_printf(loading->arena,
                                         "%s: no compiled rules of this YARA version (code %d)",
                                         loading->compiled.items[i], code));
    }
}

static int judge(const struct loading *loading, const struct mw_yara_rules *set, bool skip_broken,
                 struct mw_texts *warnings, struct mw_error *error)
{
    size_t count = loading->mistakes.count;
    if (count > 0 && !skip_broken) {
        char all[sizeof error->text] = "";
        size_t used = 0;
        for (size_t i = 0; i < count && used + 1 < sizeof all; i++) {
            int length = snprintf(all + used, sizeof all - used, "%s%s", i > 0 ? "; " : "",
                                  loading->mistakes.items[i]);
            used += length > 0 ? (size_t)length : 0;
        }
        return mw_fail(error, MW_ERR_FORMAT, "%zu mistake%s in YARA rules: %s", count,
                       count > 1 ? "s" : "", all);
    }
    for (size_t i = 0; i < count; i++)
        mw_texts_add(
            loading->arena, warnings,
            mw_arena_printf(loading->arena, "YARA rule left out: %s", loading->mistakes.items[i]));
    if (set->count == 0)
        return mw_fail(error, MW_ERR_MISSING, "no YARA rules could be loaded%s%s",
                       count > 0 ? ": " : " (no *.yar, *.yara or *.yarc file was found)",
                       count > 0 ? loading->mistakes.items[0] : "");
    return 0;
}

struct mw_yara_rules *mw_yara_rules_load(const struct mw_texts *paths, bool skip_broken,
                                         struct mw_arena *arena, struct mw_texts *warnings,
                                         struct mw_error *error)
{
    struct mw_yara_rules *set = calloc(1, sizeof *set);
    if (!set) {
        mw_fail_errno(error, "cannot load YARA rules");
        return NULL;
    }
    struct loading loading = {.arena = arena};
    for (size_t i = 0; i < paths->count; i++)
        gather(&loading, paths->items[i], root_of(arena, paths->items[i]), 0);
    compile_together(&loading, set);
    load_compiled(&loading, set);
    if (judge(&loading, set, skip_broken, warnings, error) == 0)
        return set;
    mw_yara_rules_free(set);
    return NULL;
}

void mw_yara_rules_free(struct mw_yara_rules *rules)
{
    if (!rules)
        return;
    for (size_t i = 0; i < rules->count; i++) {
        yr_scanner_destroy(rules->scanners[i]);
        yr_rules_destroy(rules->rules[i]);
    }
    free(rules);
}

size_t mw_yara_rules_count(const struct mw_yara_rules *rules)
{
    return rules ? rules->count : 0;
}

YR_SCANNER *mw_yara_rules_scanner(const struct mw_yara_rules *rules, size_t index)
{
    return rules->scanners[index];
}

bool mw_yara_rules_are_constant(const struct mw_yara_rules *rules)
{
    return !rules || !rules->context.varies;
}

bool mw_yara_rules_use(const struct mw_yara_rules *rules, size_t variable)
{
    return rules && rules->context.uses[variable];
}

size_t mw_yara_rules_total(const struct mw_yara_rules *rules)
{
    size_t total = 0;
    for (size_t i = 0; rules && i < rules->count; i++)
        total += rules->rules[i]->num_rules;
    return total;
}
