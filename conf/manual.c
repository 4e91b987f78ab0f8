/* manual: mailwitness.conf(5) from the table, so that neither drifts. */
#include <string.h>

#include "conf/option.h"

/* Text that roff takes as it is; "# " behind a line's end belongs to the sample. */
static void put(FILE *out, const char *text)
{
    bool start = true;
    for (; *text; text++) {
        if (start && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        start = *text == '\n';
        if (*text == '\\')
            fputs("\\e", out);
        else
            fputc(*text, out);
        if (start && strncmp(text + 1, "# ", 2) == 0)
            text += 2;
    }
}

static void put_names(FILE *out, const struct mw_option *option)
{
    const char *between = "";
    fputs("One of", out);
    for (size_t i = (size_t)option->least; option->names[i]; i++) {
        fprintf(out, "%s\n.Cm %s", between, option->names[i]);
        between = " ,";
    }
    fputs(" .\n", out);
}

/* What may stand there. */
static void put_kind(FILE *out, const struct mw_option *option)
{
    static const char *const kinds[] = {
        [MW_OPTION_BOOL] = "true or false",
        [MW_OPTION_COUNT] = "a number",
        [MW_OPTION_SIZE] = "a size such as 25m",
        [MW_OPTION_BIG] = "a number such as 50m",
        [MW_OPTION_TIME] = "a time such as 30s or 500ms",
        [MW_OPTION_PERIOD] = "a time such as 90d",
        [MW_OPTION_REAL] = "a number such as 0.001",
        [MW_OPTION_TEXT] = "a text",
        [MW_OPTION_TEXTS] = "a text, or several in brackets",
        [MW_OPTION_NAME] = "a name",
    };
    fprintf(out, "Takes %s", kinds[option->type]);
    if (option->most > 0 && option->type == MW_OPTION_TEXTS)
        fprintf(out, ", up to %.0f", option->most);
    else if (option->most > 0 && option->type != MW_OPTION_BOOL)
        fprintf(out, ", %.15g to %.15g%s", option->least, option->most,
                option->type == MW_OPTION_TIME     ? " ms"
                : option->type == MW_OPTION_PERIOD ? " s"
                : option->type == MW_OPTION_SIZE   ? " bytes"
                                                   : "");
    if (option->initial && *option->initial) {
        fputs("; the default is\n.Ql ", out);
        put(out, option->initial);
        fputs(" .\n", out);
    } else {
        fputs("; there is no default.\n", out);
    }
}

static void put_option(FILE *out, const struct mw_option *option)
{
    fprintf(out, ".It Ic %s\n", option->name);
    put(out, option->help);
    fputs(".\n", out);
    if (option->names)
        put_names(out, option);
    put_kind(out, option);
}

static void put_options(FILE *out, const struct mw_option *options, size_t count)
{
    fputs(".Bl -tag -width Ds\n", out);
    for (size_t i = 0; i < count; i++)
        put_option(out, &options[i]);
    fputs(".El\n", out);
}

void mw_config_manual(FILE *out)
{
    fputs(".\\\" Made by: mailwitness config man\n"
          ".Dd November 24, 2026\n.Dt MAILWITNESS.CONF 5\n.Os\n.Sh NAME\n.Nm mailwitness.conf\n"
          ".Nd configuration of mailwitness\n.Sh DESCRIPTION\n"
          "The file has sections of options, as in\n.Bd -literal -offset indent\n"
          "limits: {\n    message_size = \"100m\";\n    parts = 500;\n};\n"
          "yara: { rules = [\"/etc/mailwitness/rules\"]; };\n.Ed\n.Pp\n"
          "Sizes and times with a unit stand in quotes.\n"
          "Comments begin with\n.Ql # .\n"
          "Another file is taken in by a line\n.Ql @include \"file\" ;\n"
          "one without a whole path is looked for beside the file that names it.\n"
          "Every option has a default;\n.Ql mailwitness config sample\n"
          "prints them all, and\n.Ql mailwitness config check\n"
          "tells every mistake in a file with its line.\n",
          out);
    for (size_t i = 0, count; i < mw_option_count; i += count) {
        const char *section = mw_options[i].section;
        for (count = 1;
             i + count < mw_option_count && strcmp(mw_options[i + count].section, section) == 0;)
            count++;
        fprintf(out, ".Ss Section %s\n", section);
        put_options(out, &mw_options[i], count);
    }
    for (size_t i = 0; i < mw_named_section_count; i++) {
        const struct mw_named_section *named = &mw_named_sections[i];
        fprintf(out, ".Ss Sections in %s\n", named->section);
        put(out, named->help);
        fprintf(out, "\nEach has a name, as\n.Ql %s: { %s: { ... }; }; .\n", named->section,
                named->example);
        put_options(out, named->options, named->option_count);
    }
    fputs(".Sh SEE ALSO\n.Xr mailwitness 1 ,\n.Xr mailwitness-config 1 ,\n.Xr mailwitness-scan 1\n",
          out);
}
