/* status.c - how a failure is written down: one line, printable, cut to fit. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "hone/status.h"

int hone_status_exit(hone_status status) {
    static const int codes[] = {
#define XX(name, exit_code, text) exit_code,
        HONE_STATUS_MAP(XX)
#undef XX
    };
    return (unsigned)status < HONE_N_STATUS ? codes[status] : codes[HONE_EBUG];
}

const char *hone_status_text(hone_status status) {
    static const char *const texts[] = {
#define XX(name, exit_code, text) text,
        HONE_STATUS_MAP(XX)
#undef XX
    };
    return (unsigned)status < HONE_N_STATUS ? texts[status] : "unknown status";
}

/* Print into raw, then copy to out (out_bytes) with control bytes as \xNN. What does not fit is cut, never in
 * the middle of an escape or of a UTF-8 character. */
static void write_line(char *out, size_t out_bytes, const char *fmt, va_list args) {
    char raw[2048];
    vsnprintf(raw, sizeof raw, fmt, args);
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)raw; *p;) {
        const int control = *p < 0x20 || *p == 0x7f;
        size_t length = 1;
        if (control) length = 4;
        else if (*p >= 0xc0)
            while (length < 4 && (p[length] & 0xc0) == 0x80) length++;
        if (n + length >= out_bytes) break;
        if (control) snprintf(out + n, 5, "\\x%02x", *p++);
        else memcpy(out + n, p, length), p += length;
        n += length;
    }
    out[n] = 0;
}

hone_status hone_fail(hone_err *err, hone_status status, const char *fmt, ...) {
    if (!err) return status;
    va_list args;
    va_start(args, fmt);
    write_line(err->text, sizeof err->text, fmt, args); /* the arguments may point into err's old text */
    va_end(args);
    err->status = status;
    err->hint[0] = 0;
    return status;
}

hone_status hone_hint(hone_err *err, const char *fmt, ...) {
    if (!err) return HONE_EBUG;
    va_list args;
    va_start(args, fmt);
    write_line(err->hint, sizeof err->hint, fmt, args);
    va_end(args);
    return err->status;
}
