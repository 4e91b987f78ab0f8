/* table: widths are settled before the first row, so that no row waits for another. */
#include "cli/table.h"

#include <stdlib.h>
#include <unistd.h>

#include "cli/terminal.h"

enum { GAP = 2 };

struct mw_table {
    FILE *out;
    struct mw_column columns[MW_TABLE_COLUMNS];
    size_t count;
    bool cut, colour, begun;
};

/* Gives what the terminal has left to those with a share. */
static void spread(struct mw_table *table, int room)
{
    int shares = 0;
    room -= GAP * ((int)table->count - 1);
    for (size_t i = 0; i < table->count; i++) {
        room -= table->columns[i].width;
        shares += table->columns[i].share;
    }
    for (size_t i = 0; i < table->count && room > 0 && shares > 0; i++) {
        int more = room * table->columns[i].share / shares;
        table->columns[i].width += more;
        room -= more;
        shares -= table->columns[i].share;
    }
}

struct mw_table *mw_table_new(FILE *out, const struct mw_column *columns, size_t count)
{
    struct mw_table *table = calloc(1, sizeof *table);
    if (!table || count > MW_TABLE_COLUMNS)
        abort();
    table->out = out;
    table->count = count;
    for (size_t i = 0; i < count; i++)
        table->columns[i] = columns[i];
    table->cut = isatty(fileno(out));
    table->colour = mw_terminal_colour(out);
    spread(table, mw_terminal_columns(out));
    return table;
}

void mw_table_free(struct mw_table *table)
{
    free(table);
}

static void print_cell(const struct mw_table *table, size_t place, const char *text)
{
    const struct mw_column *column = &table->columns[place];
    if (!table->cut)
        mw_terminal_cell(table->out, text, 0, MW_CELL_WHOLE);
    else if (column->right)
        mw_terminal_cell(table->out, text, column->width, MW_CELL_RIGHT);
    else
        mw_terminal_cell(table->out, text, column->width, MW_CELL_LEFT);
}

int mw_table_row(struct mw_table *table, const char *const *cells, int verdict,
                 struct mw_error *error)
{
    const char *gap = table->cut ? "  " : "\t";
    if (!table->begun) {
        for (size_t i = 0; i < table->count; i++) {
            fputs(i > 0 ? gap : "", table->out);
            print_cell(table, i, table->columns[i].heading);
        }
        fputc('\n', table->out);
        table->begun = true;
    }
    bool colour = table->colour && verdict >= 0;
    for (size_t i = 0; i < table->count; i++) {
        fputs(i > 0 ? gap : "", table->out);
        if (i == 0 && colour)
            fputs(mw_terminal_verdict((enum mw_verdict)verdict), table->out);
        print_cell(table, i, cells[i] ? cells[i] : "-");
        if (i == 0 && colour)
            fputs(MW_TERMINAL_PLAIN, table->out);
    }
    return fputc('\n', table->out) == EOF ? mw_fail_errno(error, "cannot write the output") : 0;
}
