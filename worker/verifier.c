/* verifier: one question, one answer. */
#include "worker/verifier.h"

#include <unistd.h>

#include "worker/wire.h"
#include "worker/work.h"

_Noreturn void mw_verifier_run(struct mw_witness *witness, unsigned time_ms, int file, int reply)
{
    struct mw_error error = {0};
    struct mw_wire wire = {.kind = MW_WIRE_STARTED, .number = getpid()};
    mw_work_alarm(time_ms);
    if (mw_wire_send(reply, &wire, NULL, 0, &error) != 0)
        _exit(1);
    struct mw_report *asked = mw_wire_unpack(file, SIZE_MAX, &error);
    if (!asked || asked->attachments.count != 1)
        _exit(1);
    struct mw_report *report = mw_witness_verify(witness, asked);
    struct mw_memfile *result = mw_wire_pack(report, &error);
    int fd = result ? mw_memfile_fd(result) : -1;
    wire.kind = MW_WIRE_RESULT;
    _exit(fd < 0 || mw_wire_send(reply, &wire, &fd, 1, &error) != 0);
}
