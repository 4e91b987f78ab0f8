/* verifier: one question, one answer. */
#include "worker/verifier.h"

#include <unistd.h>

#include "worker/wire.h"
#include "worker/work.h"

_Noreturn void mw_verifier_run(struct mw_witness *witness, unsigned time_ms, int file,
                               const int reply[MW_ANSWER_FDS])
{
    struct mw_error error = {0};
    mw_work_alarm(time_ms);
    if (!mw_answer_begin(reply))
        _exit(1);
    struct mw_report *asked = mw_wire_unpack(file, SIZE_MAX, &error);
    if (!asked || asked->attachments.count != 1)
        _exit(1);
    _exit(mw_answer_give(reply, mw_witness_verify(witness, asked), &error) != 0);
}
