/* reader: libmilter reads its frames itself. */
#include "milter/reader.h"

bool mw_reader_is_built(void)
{
    return false;
}

char mw_reader_command(void)
{
    return '\0';
}

bool mw_reader_is_heard(void)
{
    return true;
}

void mw_reader_close(void)
{
}
