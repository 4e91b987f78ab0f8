/* libFuzzer target: questions on the control socket, as bytes. */
#include <stdlib.h>

#include "milter/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mw_error error = {0};
    enum mw_control_command command = MW_CONTROL_STATUS;
    int result = mw_control_parse((struct mw_bytes){data, size}, &command, &error);
    if ((result == 0) != (error.code == 0) || command > MW_CONTROL_RELOAD)
        abort();
    return 0;
}
