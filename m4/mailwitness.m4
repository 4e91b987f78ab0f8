dnl MW_REQUIRE_PKG(NAME, PKG-CONFIG MODULES, DEBIAN PACKAGE)
AC_DEFUN([MW_REQUIRE_PKG], [
  PKG_CHECK_MODULES([$1], [$2], [], [mw_missing="$mw_missing
    $2 (Debian: apt-get install $3)"])
])

dnl MW_REQUIRE_LIB(NAME, LIBRARY, INCLUDES, CALL, DEBIAN PACKAGE): a real link test
AC_DEFUN([MW_REQUIRE_LIB], [
  AC_MSG_CHECKING([for lib$2])
  mw_saved_LIBS=$LIBS
  LIBS="-l$2 $LIBS"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([$3], [$4])],
    [AC_MSG_RESULT([yes]); AC_SUBST([$1_LIBS], [-l$2])],
    [AC_MSG_RESULT([no]); mw_missing="$mw_missing
    lib$2 (Debian: apt-get install $5)"])
  LIBS=$mw_saved_LIBS
])

dnl MW_OPTIONAL_PKG(OPTION, NAME, MODULES, DEBIAN PACKAGE): used when there,
dnl required by --with-OPTION, left out by --without-OPTION
AC_DEFUN([MW_OPTIONAL_PKG], [
  AC_ARG_WITH([$1], [AS_HELP_STRING([--without-$1], [leave out $1 ($3)])],
    [], [with_$1=auto])
  mw_have_$1=no
  AS_IF([test "x$with_$1" != xno], [
    PKG_CHECK_MODULES([$2], [$3], [mw_have_$1=yes], [
      AS_IF([test "x$with_$1" = xyes], [mw_missing="$mw_missing
    $3 (Debian: apt-get install $4)"])])])
])

dnl MW_CHECK_MISSING: ends configure with the list of everything missing
AC_DEFUN([MW_CHECK_MISSING], [
  AS_IF([test -n "$mw_missing"], [AC_MSG_ERROR([these are missing:$mw_missing
])])
])

AC_DEFUN([MW_TRY_FLAG], [
  mw_saved_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror $2"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [$1="$$1 $2"])
  CFLAGS=$mw_saved_CFLAGS
])

dnl MW_COMPILER_FLAGS: warnings, hardening, sanitizers, fuzzers
AC_DEFUN([MW_COMPILER_FLAGS], [
  AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror], [warnings are errors])],
    [], [enable_werror=no])
  AC_ARG_ENABLE([sanitizers],
    [AS_HELP_STRING([--enable-sanitizers], [build under ASan and UBSan])],
    [], [enable_sanitizers=no])
  AC_ARG_ENABLE([fuzzers],
    [AS_HELP_STRING([--enable-fuzzers], [build the fuzzers, under the sanitizers (with CC=clang)])],
    [], [enable_fuzzers=no])
  AC_ARG_ENABLE([tsan], [AS_HELP_STRING([--enable-tsan], [build under ThreadSanitizer])],
    [], [enable_tsan=no])
  AS_IF([test "x$enable_fuzzers" = xyes], [enable_sanitizers=yes])
  for mw_flag in -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion \
      -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wvla; do
    MW_TRY_FLAG([MW_WARNINGS], [$mw_flag])
  done
  AS_IF([test "x$enable_werror" = xyes], [MW_WARNINGS="$MW_WARNINGS -Werror"])
  AS_IF([test "x$enable_sanitizers" = xyes], [
    MW_HARDENING="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
  ], [test "x$enable_tsan" = xyes], [
    MW_HARDENING="-fsanitize=thread -fno-omit-frame-pointer"
  ], [
    for mw_flag in -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE; do
      MW_TRY_FLAG([MW_HARDENING], [$mw_flag])
    done
    for mw_flag in -pie -Wl,-z,relro -Wl,-z,now; do
      MW_TRY_FLAG([MW_HARDENING_LDFLAGS], [$mw_flag])
    done
    MW_HARDENING_CPPFLAGS="-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"
  ])
  AS_IF([test "x$enable_fuzzers" = xyes], [
    MW_TRY_FLAG([MW_FUZZ], [-fsanitize=fuzzer-no-link])
    AS_IF([test -z "$MW_FUZZ"], [mw_missing="$mw_missing
    a compiler with libFuzzer (Debian: apt-get install clang libclang-rt-14-dev, then CC=clang)"])
  ])
  AM_CONDITIONAL([WITH_FUZZERS], [test "x$enable_fuzzers" = xyes])
  AC_SUBST([MW_WARNINGS])
  AC_SUBST([MW_HARDENING])
  AC_SUBST([MW_HARDENING_CPPFLAGS])
  AC_SUBST([MW_HARDENING_LDFLAGS])
  AC_SUBST([MW_FUZZ])
])

dnl MW_CHECK_FRAME_READER: whether a mi_rd_cmd of ours is called in place of libmilter's, which
dnl a program tries with a connection to itself
AC_DEFUN([MW_CHECK_FRAME_READER], [
  AC_ARG_ENABLE([frame-reader],
    [AS_HELP_STRING([--disable-frame-reader], [let libmilter read frames, which a relay looks at before])],
    [], [enable_frame_reader=auto])
  AS_IF([test "x$enable_frame_reader" = xauto], [
    AC_MSG_CHECKING([whether frames can be read in libmilter's place])
    mw_saved_LIBS=$LIBS
    LIBS="$MILTER_LIBS $LIBS -lpthread"
    AC_RUN_IFELSE([AC_LANG_SOURCE([[
#include <libmilter/mfapi.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
char *mi_rd_cmd(int fd, const struct timeval *timeout, char *command, size_t *size, const char *name);
char *mi_rd_cmd(int fd, const struct timeval *timeout, char *command, size_t *size, const char *name)
{
    (void)fd; (void)timeout; (void)command; (void)size;
    unlink("conftest.socket");
    _exit(strcmp(name, "conftest") != 0);
}
static void *run(void *unused) { smfi_main(); return unused; }
int main(void)
{
    static char name[] = "conftest", at[] = "unix:conftest.socket";
    struct smfiDesc filter = {.xxfi_name = name, .xxfi_version = SMFI_VERSION};
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "conftest.socket"};
    pthread_t thread;
    alarm(10);
    if (smfi_register(filter) != MI_SUCCESS || smfi_setconn(at) != MI_SUCCESS ||
        smfi_opensocket(1) != MI_SUCCESS || pthread_create(&thread, 0, run, 0) != 0)
        return 2;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 || write(fd, "1234Q", 5) != 5)
        return 3;
    pause();
    return 4;
}]])], [enable_frame_reader=yes], [enable_frame_reader=no], [enable_frame_reader=no])
    LIBS=$mw_saved_LIBS
    rm -f conftest.socket
    AC_MSG_RESULT([$enable_frame_reader])
  ])
  AS_IF([test "x$enable_frame_reader" = xyes], [mw_frame_reader_place="in libmilter's place"],
    [mw_frame_reader_place="by libmilter, behind a relay"])
  AM_CONDITIONAL([WITH_FRAME_READER], [test "x$enable_frame_reader" = xyes])
])
