/* admission: one counter. */
#include "milter/admission.h"

bool mw_admission_take(struct mw_admission *admission, size_t bytes)
{
    size_t max = atomic_load_explicit(&admission->max, memory_order_relaxed);
    size_t held = atomic_fetch_add(&admission->held, bytes);
    if (held <= max && bytes <= max - held)
        return true;
    atomic_fetch_sub(&admission->held, bytes);
    return false;
}

void mw_admission_force(struct mw_admission *admission, size_t bytes)
{
    atomic_fetch_add(&admission->held, bytes);
}

void mw_admission_give(struct mw_admission *admission, size_t bytes)
{
    atomic_fetch_sub(&admission->held, bytes);
}
