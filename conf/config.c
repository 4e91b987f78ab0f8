/* config: libconfig's tree against the table. */
#include "conf/config.h"

#include <libconfig.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/option.h"
#include "conf/slip.h"
#include "conf/source.h"
#include "core/suggest.h"

enum { MISTAKES = 100 };

/* Loading under way. */
struct loading {
    const struct mw_config_source *source; /* NULL: the defaults */
    struct mw_config *config;
    struct mw_arena *arena;
    struct mw_texts *mistakes;
    bool filters_given; /* there is a section filter, even an empty one */
};

static void mistake(struct loading *loading, const config_setting_t *setting, const char *section,
                    const char *name, const char *text)
{
    if (loading->mistakes->count >= MISTAKES)
        return;
    unsigned line;
    const char *file =
        mw_config_source_place(loading->source, config_setting_source_line(setting), &line);
    mw_texts_add(loading->arena, loading->mistakes,
                 mw_arena_printf(loading->arena, "%s:%u: %s%s%s: %s", file, line,
                                 section ? section : "", section ? "." : "", name, text));
}

static const struct mw_option *find_option(const struct mw_option *options, size_t count,
                                           const char *section, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(options[i].section, section) == 0 && strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

static void unknown_option(struct loading *loading, const struct mw_option *options, size_t count,
                           const char *section, const config_setting_t *setting)
{
    const char **names = mw_arena_alloc(loading->arena, count * sizeof *names);
    const char *name = config_setting_name(setting);
    size_t known = 0;
    for (size_t i = 0; i < count; i++)
        if (strcmp(options[i].section, section) == 0)
            names[known++] = options[i].name;
    const char *near = mw_suggest(name, names, known);
    mistake(loading, setting, section, name,
            near ? mw_arena_printf(loading->arena, "is no option; did you mean '%s'?", near)
                 : "is no option");
}

/* The text of a scalar as a person wrote it, or near to that; NULL for others. */
static const char *scalar_text(struct mw_arena *arena, const config_setting_t *setting)
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_STRING:
        return config_setting_get_string(setting);
    case CONFIG_TYPE_BOOL:
        return config_setting_get_bool(setting) ? "true" : "false";
    case CONFIG_TYPE_INT:
        return mw_arena_printf(arena, "%d", config_setting_get_int(setting));
    case CONFIG_TYPE_INT64:
        return mw_arena_printf(arena, "%lld", config_setting_get_int64(setting));
    case CONFIG_TYPE_FLOAT:
        return mw_arena_printf(arena, "%.15g", config_setting_get_float(setting));
    default:
        return NULL;
    }
}

static void set_one(struct loading *loading, const struct mw_option *option, void *object,
                    const config_setting_t *setting)
{
    struct mw_error error = {0};
    const char *text = scalar_text(loading->arena, setting);
    if (!text)
        mistake(loading, setting, option->section, option->name,
                "must be one value, not a section or list");
    else if (mw_option_set(option, object, loading->config->arena, text, &error) != 0)
        mistake(loading, setting, option->section, option->name, error.text);
}

/* A list given replaces the default. */
static void set_texts(struct loading *loading, const struct mw_option *option, void *object,
                      const config_setting_t *setting)
{
    struct mw_texts *texts = (void *)((unsigned char *)object + option->offset);
    int count = config_setting_length(setting);
    texts->count = 0;
    if (option->most > 0 && count > option->most)
        mistake(
            loading, setting, option->section, option->name,
            mw_arena_printf(loading->arena, "names %d, %.0f are the most", count, option->most));
    for (int i = 0; i < count; i++)
        set_one(loading, option, object, config_setting_get_elem(setting, (unsigned)i));
}

static void set_option(struct loading *loading, const struct mw_option *option, void *object,
                       const config_setting_t *setting)
{
    bool list = config_setting_is_array(setting) || config_setting_is_list(setting);
    if (option->type == MW_OPTION_TEXTS && list) {
        set_texts(loading, option, object, setting);
        return;
    }
    if (option->type == MW_OPTION_TEXTS)
        ((struct mw_texts *)(void *)((unsigned char *)object + option->offset))->count = 0;
    set_one(loading, option, object, setting);
}

static void read_member(struct loading *loading, const struct mw_option *options, size_t count,
                        const char *section, void *object, const config_setting_t *setting)
{
    const struct mw_option *option =
        find_option(options, count, section, config_setting_name(setting));
    if (option)
        set_option(loading, option, object, setting);
    else
        unknown_option(loading, options, count, section, setting);
}

static void read_options(struct loading *loading, const struct mw_option *options, size_t count,
                         const char *section, void *object, const config_setting_t *group)
{
    int members = config_setting_length(group);
    for (int i = 0; i < members; i++)
        read_member(loading, options, count, section, object,
                    config_setting_get_elem(group, (unsigned)i));
}

static void set_defaults(const struct mw_option *options, size_t count, void *object,
                         struct mw_arena *arena)
{
    struct mw_error error = {0};
    for (size_t i = 0; i < count; i++)
        if (options[i].initial)
            mw_option_set(&options[i], object, arena, options[i].initial, &error);
}

/* An element of a list, with its defaults. */
static void *new_element(struct mw_config *config, const struct mw_named_section *section,
                         const char *name)
{
    void *element = mw_arena_alloc(config->arena, section->size);
    *(const char **)element = mw_arena_dup(config->arena, name);
    set_defaults(section->options, section->option_count, element, config->arena);
    return element;
}

static void keep_element(struct mw_config *config, const struct mw_named_section *section,
                         const void *element)
{
    void *list = (unsigned char *)config + section->offset;
    memcpy(mw_list_add(config->arena, list, section->size), element, section->size);
}

static void read_named(struct loading *loading, const struct mw_named_section *section,
                       const config_setting_t *group)
{
    struct mw_arena *arena = loading->config->arena;
    int members = config_setting_length(group);
    for (int i = 0; i < members; i++) {
        const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
        const char *name = config_setting_name(setting);
        if (!config_setting_is_group(setting)) {
            mistake(loading, setting, section->section, name,
                    mw_arena_printf(loading->arena, "must be a section, as in: %s: { ... };",
                                    section->example));
            continue;
        }
        void *element = new_element(loading->config, section, name);
        read_options(loading, section->options, section->option_count, section->section, element,
                     setting);
        const char *wrong = section->finish ? section->finish(arena, element) : NULL;
        if (wrong)
            mistake(loading, setting, section->section, name, wrong);
        keep_element(loading->config, section, element);
    }
}

static void check_rule(struct loading *loading, const struct mw_config_rule *rule,
                       const config_setting_t *setting)
{
    const char *fault = mw_rule_fault(rule);
    for (size_t i = 0; !fault && i < loading->config->rules.count; i++)
        if (strcasecmp(loading->config->rules.items[i].name, rule->name) == 0)
            fault = "is there twice";
    if (fault)
        mistake(loading, setting, "policy", rule->name, fault);
}

/* A rule's section: options, and the section of its conditions. */
static void read_rule(struct loading *loading, const config_setting_t *group)
{
    struct mw_config *config = loading->config;
    struct mw_config_rule rule = {0};
    set_defaults(mw_rule_options, mw_rule_option_count, &rule, config->arena);
    int members = config_setting_length(group);
    for (int i = 0; i < members; i++) {
        const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
        if (strcmp(config_setting_name(setting), "when") != 0)
            read_member(loading, mw_rule_options, mw_rule_option_count, "policy", &rule, setting);
        else if (config_setting_is_group(setting))
            read_options(loading, mw_rule_options, mw_rule_option_count, "policy.when", &rule,
                         setting);
        else
            mistake(loading, setting, "policy", "when", "must be a section, as in: when: { ... };");
    }
    if (!rule.name)
        rule.name = mw_arena_printf(config->arena, "rule-%zu", config->rules.count + 1);
    check_rule(loading, &rule, group);
    struct mw_config_rule *slot =
        mw_list_add(config->arena, &config->rules, sizeof *config->rules.items);
    *slot = rule;
}

static void read_rules(struct loading *loading, const config_setting_t *list)
{
    if (!config_setting_is_list(list)) {
        mistake(loading, list, NULL, "policy", "must be a list, as in: policy: ( { ... } );");
        return;
    }
    int rules = config_setting_length(list);
    for (int i = 0; i < rules; i++) {
        const config_setting_t *rule = config_setting_get_elem(list, (unsigned)i);
        if (config_setting_is_group(rule))
            read_rule(loading, rule);
        else
            mistake(loading, rule, NULL, "policy", "must hold rules, as in: ( { ... }, { ... } );");
    }
}

static bool is_section(const char *name)
{
    for (size_t i = 0; i < mw_option_count; i++)
        if (strcmp(mw_options[i].section, name) == 0)
            return true;
    return false;
}

static const struct mw_named_section *find_named(const char *name)
{
    for (size_t i = 0; i < mw_named_section_count; i++)
        if (strcmp(mw_named_sections[i].section, name) == 0)
            return &mw_named_sections[i];
    return NULL;
}

/* The section that has an option of this name; NULL: none. */
static const char *home_of(const char *name)
{
    for (size_t i = 0; i < mw_option_count; i++)
        if (strcmp(mw_options[i].name, name) == 0)
            return mw_options[i].section;
    return NULL;
}

static void unknown_section(struct loading *loading, const config_setting_t *setting)
{
    enum { MOST = 64 };
    const char *names[MOST], *name = config_setting_name(setting);
    size_t count = 0;
    names[count++] = "policy";
    for (size_t i = 0; i < mw_named_section_count && count < MOST; i++)
        names[count++] = mw_named_sections[i].section;
    for (size_t i = 0; i < mw_option_count && count < MOST; i++)
        if (i == 0 || strcmp(mw_options[i].section, mw_options[i - 1].section) != 0)
            names[count++] = mw_options[i].section;
    const char *near = mw_suggest(name, names, count);
    const char *home = config_setting_is_group(setting) ? NULL : home_of(name);
    mistake(loading, setting, NULL, name,
            home   ? mw_arena_printf(loading->arena,
                                     "options stand in sections, as in: %s: { %s = ...; };", home,
                                     name)
            : near ? mw_arena_printf(loading->arena, "is no section; did you mean '%s'?", near)
            : config_setting_is_scalar(setting)
                ? "is no section, and options stand in one, as in: milter: { mode = \"act\"; };"
                : "is no section");
}

static void read_section(struct loading *loading, const config_setting_t *section)
{
    const char *name = config_setting_name(section);
    const struct mw_named_section *named = find_named(name);
    loading->filters_given = loading->filters_given || strcmp(name, "filter") == 0;
    if (strcmp(name, "policy") == 0)
        read_rules(loading, section);
    else if (!named && !is_section(name))
        unknown_section(loading, section);
    else if (!config_setting_is_group(section))
        mistake(loading, section, NULL, name, "must be a section, as in: name: { ... };");
    else if (named)
        read_named(loading, named, section);
    else
        read_options(loading, mw_options, mw_option_count, name, loading->config, section);
}

static void read_root(struct loading *loading, const config_setting_t *root)
{
    int sections = config_setting_length(root);
    for (int i = 0; i < sections; i++)
        read_section(loading, config_setting_get_elem(root, (unsigned)i));
}

/* --- rules against all of the file ----------------------------------------------------------- */

/* Whether a rule has no conditions: nothing gets past it. */
static bool fits_all(const struct mw_config_rule *rule, struct mw_arena *arena)
{
    struct mw_config_rule empty = {0};
    set_defaults(mw_rule_options, mw_rule_option_count, &empty, arena);
    for (size_t i = 0; i < mw_rule_option_count; i++) {
        const struct mw_option *option = &mw_rule_options[i];
        if (strcmp(option->section, "policy.when") != 0)
            continue;
        const char *is = mw_option_get(option, rule, arena);
        const char *usual = mw_option_get(option, &empty, arena);
        if (strcmp(is ? is : "", usual ? usual : "") != 0)
            return false;
    }
    return true;
}

/* The condition new names filters, which may stand behind the rules. */
static void check_new(struct loading *loading, const struct mw_config_rule *rule,
                      const config_setting_t *setting)
{
    const struct mw_config *config = loading->config;
    size_t count = loading->filters_given ? config->filters.count : 1;
    const char **names = mw_arena_alloc(loading->arena, (count + 1) * sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] =
            loading->filters_given ? config->filters.items[i].name : find_named("filter")->example;
    for (size_t i = 0; i < rule->when.is_new.count; i++) {
        const char *asked = rule->when.is_new.items[i], *near;
        bool known = false;
        asked += asked[0] == '!';
        for (size_t j = 0; j < count; j++)
            known = known || strcasecmp(names[j], asked) == 0;
        if (known)
            continue;
        near = mw_suggest(asked, names, count);
        mistake(loading, setting, "policy", rule->name,
                mw_arena_printf(loading->arena, "new: the section filter has no '%s'%s%s%s", asked,
                                near ? "; did you mean '" : "", near ? near : "",
                                near ? "'?" : ""));
    }
}

static void check_rules(struct loading *loading, const config_setting_t *root)
{
    const config_setting_t *list = config_setting_get_member(root, "policy");
    const struct mw_config *config = loading->config;
    const char *before = NULL;
    size_t rule = 0;
    int count = list && config_setting_is_list(list) ? config_setting_length(list) : 0;
    for (int i = 0; i < count && rule < config->rules.count; i++) {
        const config_setting_t *setting = config_setting_get_elem(list, (unsigned)i);
        if (!config_setting_is_group(setting))
            continue;
        const struct mw_config_rule *one = &config->rules.items[rule++];
        if (before)
            mistake(
                loading, setting, "policy", one->name,
                mw_arena_printf(loading->arena,
                                "is never reached: '%s' before it has no conditions and decides "
                                "about every message",
                                before));
        else if (fits_all(one, loading->arena))
            before = one->name;
        check_new(loading, one, setting);
    }
}

/* libconfig never opens a file: the text has no @include. */
static void read_text(struct loading *loading)
{
    config_t file;
    config_init(&file);
    const char *text = mw_config_source_text(loading->source, loading->config->arena);
    if (config_read_string(&file, text)) {
        read_root(loading, config_root_setting(&file));
        if (loading->mistakes->count == 0)
            check_rules(loading, config_root_setting(&file));
    } else {
        unsigned line, at = (unsigned)config_error_line(&file), slipped;
        bool syntax = strcmp(config_error_text(&file), "syntax error") == 0;
        const char *slip = syntax ? mw_slip_find(text, loading->arena, &slipped) : NULL;
        const char *name = mw_config_source_place(loading->source, slip ? slipped : at, &line);
        mw_texts_add(loading->arena, loading->mistakes,
                     mw_arena_printf(loading->arena, "%s:%u: %s%s%s", name, line,
                                     config_error_text(&file), slip ? ": " : "", slip ? slip : ""));
    }
    config_destroy(&file);
}

/* A file that says nothing of filters remembers who writes. */
static void add_default_filter(struct mw_config *config)
{
    const struct mw_named_section *section = find_named("filter");
    void *element = new_element(config, section, section->example);
    section->finish(config->arena, element);
    keep_element(config, section, element);
}

/* Two filters cannot write one file. */
static void check_filter_files(struct loading *loading)
{
    const struct mw_config *config = loading->config;
    unsigned line;
    const char *path =
        loading->source ? mw_config_source_place(loading->source, 1, &line) : "the defaults";
    for (size_t i = 0; i < config->filters.count; i++) {
        const struct mw_tracked_settings *one = &config->filters.items[i];
        for (size_t j = 0; j < i; j++)
            if (strcmp(config->filters.items[j].file, one->file) == 0)
                mw_texts_add(loading->arena, loading->mistakes,
                             mw_arena_printf(loading->arena,
                                             "%s: filter.%s: has the same file as '%s': %s", path,
                                             one->name, config->filters.items[j].name, one->file));
    }
}

static struct mw_config *new_config(void)
{
    struct mw_arena *own = mw_arena_new();
    struct mw_config *config = mw_arena_alloc(own, sizeof *config);
    config->arena = own;
    set_defaults(mw_options, mw_option_count, config, own);
    /* Not in the table: it depends on where mailwitness is installed. */
    config->store.spool.folder = MW_STATE_FOLDER "/spool";
    return config;
}

/* Fills in config from its source; NULL, and config freed, after a mistake. */
static struct mw_config *fill_in(struct mw_config *config, struct mw_arena *arena,
                                 struct mw_texts *mistakes)
{
    struct loading loading = {config->source, config, arena, mistakes, .filters_given = false};
    if (config->source)
        read_text(&loading);
    if (!loading.filters_given)
        add_default_filter(config);
    check_filter_files(&loading);
    if (mistakes->count == 0)
        return config;
    mw_config_free(config);
    return NULL;
}

static struct mw_config *fail_source(struct mw_config *config, struct mw_arena *arena,
                                     struct mw_texts *mistakes, const struct mw_error *error)
{
    mw_texts_add(arena, mistakes, mw_arena_dup(arena, error->text));
    mw_config_free(config);
    return NULL;
}

struct mw_config *mw_config_load(const char *path, struct mw_arena *arena,
                                 struct mw_texts *mistakes)
{
    struct mw_error error = {0};
    struct mw_config *config = new_config();
    if (path && !(config->source = mw_config_source_read(path, config->arena, &error)))
        return fail_source(config, arena, mistakes, &error);
    return fill_in(config, arena, mistakes);
}

struct mw_memfile *mw_config_pack(const struct mw_config *config, struct mw_error *error)
{
    struct mw_memfile *file = mw_memfile_new("configuration", error);
    struct mw_arena *arena = mw_arena_new();
    struct mw_bytes bytes = {0};
    if (config->source)
        bytes = mw_config_source_pack(config->source, arena);
    if (file && (mw_memfile_append(file, bytes, bytes.size, error) != 0 ||
                 mw_memfile_seal(file, error) != 0)) {
        mw_memfile_free(file);
        file = NULL;
    }
    mw_arena_free(arena);
    return file;
}

struct mw_config *mw_config_load_packed(struct mw_bytes packed, struct mw_arena *arena,
                                        struct mw_texts *mistakes)
{
    struct mw_error error = {0};
    struct mw_config *config = new_config();
    /* A copy: what was handed over may go. */
    unsigned char *copy = mw_arena_alloc_raw(config->arena, packed.size);
    if (packed.size > 0)
        memcpy(copy, packed.data, packed.size);
    packed.data = copy;
    if (packed.size > 0 &&
        !(config->source = mw_config_source_unpack(packed, config->arena, &error)))
        return fail_source(config, arena, mistakes, &error);
    return fill_in(config, arena, mistakes);
}

void mw_config_free(struct mw_config *config)
{
    if (config)
        mw_arena_free(config->arena);
}

static void print_help(FILE *out, const struct mw_option *option)
{
    fprintf(out, "\n    # %s", option->help);
    const char *separator = ":";
    for (size_t i = (size_t)option->least; option->names && option->names[i]; i++) {
        fprintf(out, "%s %s", separator, option->names[i]);
        separator = ",";
    }
    fputc('\n', out);
}

static void sample_option(FILE *out, const struct mw_option *option)
{
    print_help(out, option);
    const char *quote = mw_option_is_bare(option, option->initial) ? "" : "\"";
    fprintf(out, "    # %s = %s%s%s;\n", option->name, quote,
            option->initial ? option->initial : "", quote);
}

/* Every option of a rule, or of its conditions, behind a margin. */
static void sample_rule_options(FILE *out, const char *section, const char *margin)
{
    for (size_t i = 0; i < mw_rule_option_count; i++) {
        const struct mw_option *option = &mw_rule_options[i];
        if (strcmp(option->section, section) != 0)
            continue;
        const char *initial = option->initial ? option->initial : "";
        const char *quote = mw_option_is_bare(option, option->initial) ? "" : "\"";
        fprintf(out, "#\n%s# %s\n%s%s = %s%s%s;\n", margin, option->help, margin, option->name,
                quote, initial, quote);
    }
}

static void sample_rules(FILE *out)
{
    fputs("\n# Rules, tried in order: the first whose conditions all hold decides. Where a list\n"
          "# is allowed one of its items must hold, and none that begins with !.\n"
          "# policy: (\n#   {\n",
          out);
    sample_rule_options(out, "policy", "#     ");
    fputs("#\n#     when: {\n", out);
    sample_rule_options(out, "policy.when", "#       ");
    fputs("#     };\n#   }\n# );\n", out);
}

void mw_config_sample(FILE *out)
{
    fputs("# mailwitness: every option with its default.\n"
          "# Take the # away from what you change. Check with: mailwitness config check FILE\n",
          out);
    for (size_t i = 0; i < mw_option_count; i++) {
        if (i == 0 || strcmp(mw_options[i].section, mw_options[i - 1].section) != 0)
            fprintf(out, "%s\n%s: {\n", i > 0 ? "};\n" : "", mw_options[i].section);
        sample_option(out, &mw_options[i]);
    }
    fputs("};\n", out);
    for (size_t i = 0; i < mw_named_section_count; i++) {
        const struct mw_named_section *named = &mw_named_sections[i];
        fprintf(out, "\n# %s\n# %s: {\n#   %s: {\n", named->help, named->section, named->example);
        for (size_t j = 0; j < named->option_count; j++)
            sample_option(out, &named->options[j]);
        fputs("#   };\n# };\n", out);
    }
    sample_rules(out);
}

static void dump_options(FILE *out, const struct mw_option *options, size_t count,
                         const void *object, bool sections)
{
    struct mw_arena *arena = mw_arena_new();
    for (size_t i = 0; i < count; i++) {
        const struct mw_option *option = &options[i];
        if (sections && (i == 0 || strcmp(option->section, options[i - 1].section) != 0))
            fprintf(out, "%s%s: {\n", i > 0 ? "};\n" : "", option->section);
        const char *text = mw_option_get(option, object, arena);
        if (text)
            fprintf(out, "    %s = %s;\n", option->name, text);
    }
    fputs("};\n", out);
    mw_arena_free(arena);
}

static void dump_named(FILE *out, const struct mw_named_section *named,
                       const struct mw_config *config)
{
    const unsigned char *member = (const unsigned char *)config + named->offset;
    MW_LIST(unsigned char) list;
    memcpy(&list, member, sizeof list);
    fprintf(out, "%s: {\n", named->section);
    for (size_t i = 0; i < list.count; i++) {
        const unsigned char *element = list.items + i * named->size;
        const char *name;
        memcpy(&name, element, sizeof name);
        fprintf(out, "%s: {\n", name);
        dump_options(out, named->options, named->option_count, element, false);
    }
    fputs("};\n", out);
}

static void dump_rule_options(FILE *out, const char *section, const struct mw_config_rule *rule)
{
    struct mw_arena *arena = mw_arena_new();
    for (size_t i = 0; i < mw_rule_option_count; i++) {
        const struct mw_option *option = &mw_rule_options[i];
        const char *text =
            strcmp(option->section, section) == 0 ? mw_option_get(option, rule, arena) : NULL;
        if (text)
            fprintf(out, "    %s = %s;\n", option->name, text);
    }
    mw_arena_free(arena);
}

static void dump_rules(FILE *out, const struct mw_config *config)
{
    fputs("policy: (\n", out);
    for (size_t i = 0; i < config->rules.count; i++) {
        fputs("{\n", out);
        dump_rule_options(out, "policy", &config->rules.items[i]);
        fputs("    when: {\n", out);
        dump_rule_options(out, "policy.when", &config->rules.items[i]);
        fprintf(out, "    };\n}%s\n", i + 1 < config->rules.count ? "," : "");
    }
    fputs(");\n", out);
}

void mw_config_dump(const struct mw_config *config, FILE *out)
{
    dump_options(out, mw_options, mw_option_count, config, true);
    for (size_t i = 0; i < mw_named_section_count; i++)
        dump_named(out, &mw_named_sections[i], config);
    dump_rules(out, config);
}

/* A section as text; the caller frees it. */
static char *section_text(const struct mw_config *config, const char *section)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    struct mw_arena *arena = mw_arena_new();
    for (size_t i = 0; i < mw_option_count; i++) {
        if (strcmp(mw_options[i].section, section) != 0)
            continue;
        const char *value = mw_option_get(&mw_options[i], config, arena);
        fprintf(out, "%s = %s;", mw_options[i].name, value ? value : "");
    }
    const struct mw_named_section *named = find_named(section);
    if (named)
        dump_named(out, named, config);
    mw_arena_free(arena);
    fclose(out);
    return text;
}

bool mw_config_same(const struct mw_config *one, const struct mw_config *other, const char *section)
{
    char *texts[] = {section_text(one, section), section_text(other, section)};
    bool same = strcmp(texts[0], texts[1]) == 0;
    free(texts[0]);
    free(texts[1]);
    return same;
}

bool mw_config_same_option(const struct mw_config *one, const struct mw_config *other,
                           const char *section, const char *name)
{
    bool same = true;
    struct mw_arena *arena = mw_arena_new();
    for (size_t i = 0; i < mw_option_count; i++) {
        const struct mw_option *option = &mw_options[i];
        if (strcmp(option->section, section) != 0 || strcmp(option->name, name) != 0)
            continue;
        const char *before = mw_option_get(option, one, arena);
        const char *after = mw_option_get(option, other, arena);
        same = strcmp(before ? before : "", after ? after : "") == 0;
    }
    mw_arena_free(arena);
    return same;
}
