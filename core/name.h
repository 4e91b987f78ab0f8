/*
 * name: what a file's name means to the system that opens the file. What a name shows and
 * what it does may differ: "invoice.pdf.exe. " is run by Windows as invoice.pdf.exe.
 */
#ifndef MW_CORE_NAME_H
#define MW_CORE_NAME_H

enum { MW_NAME_SIZE = 1024 };

/*
 * Writes name as systems take it: without folders (behind the last / or \ that something
 * follows), without characters that do not show (mw_utf8_is_hidden), without the default
 * stream ("::$DATA") and without dots and blanks at its end, as Windows strips all of these
 * or mail clients do; ASCII letters in lower case. Of what is longer than the room its end
 * is kept, which has the extension. "" for NULL. Returns out.
 */
char *mw_name_effective(const char *name, char out[MW_NAME_SIZE]);

/* What stands behind the last dot of the effective name, which is written to room; NULL when
 * nothing does. */
const char *mw_name_extension(const char *name, char room[MW_NAME_SIZE]);

#endif
