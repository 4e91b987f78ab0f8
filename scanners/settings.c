/* settings: defaults, in one place. */
#include "scanners/settings.h"

#include "config.h"

void mw_scan_settings_default(struct mw_scan_settings *settings)
{
    *settings = (struct mw_scan_settings){
        .type = {.enabled = true},
        .fuzzy = {.enabled = true},
#ifdef WITH_YARA
        .pe = {.enabled = true},
#endif
        .ambiguous = MW_SEVERITY_SUSPICIOUS,
        .encrypted = {[MW_ENCRYPTED_ARCHIVE] = MW_SEVERITY_SUSPICIOUS,
                      [MW_ENCRYPTED_OFFICE] = MW_SEVERITY_SUSPICIOUS,
                      [MW_ENCRYPTED_PDF] = MW_SEVERITY_SUSPICIOUS},
        .yara = {.severity = MW_SEVERITY_SUSPICIOUS},
        .clamav =
            {
                .scan_texts = true,
                .heuristics = true,
                .encrypted = true,
                .broken = true,
                .macros = true,
                .heuristic_severity = MW_SEVERITY_SUSPICIOUS,
                .pua_severity = MW_SEVERITY_SUSPICIOUS,
                .max_scan_size = (size_t)400 << 20,
                .max_file_size = (size_t)100 << 20,
                .max_files = 10000,
                .max_recursion = 17,
                .max_scan_ms = 20000,
                .max_age_days = 7,
            },
    };
}
