/* cmd_doctor.c - hone doctor ranks: which launcher was detected, and why. */
#include <string.h>

#include "cli/cmd.h"
#include "base/err.h"
#include "base/file.h"
#include "run/rank.h"

const option doctor_flags[] = {{"ranks", 1, "The same as the word ranks."}};
const int n_doctor_flags = sizeof doctor_flags / sizeof *doctor_flags;

hone_status cmd_doctor(const args *a, hone_err *err) {
    text out = {0};
    HONE_TRY(args_words(a, args_value(a, "ranks") ? 0 : 1, 1, "hone doctor ranks", err));
    if (a->n_words && strcmp(a->word[0], "ranks"))
        return hone_fail(err, HONE_EUSAGE, "hone doctor: \"%.40s\", expected ranks", a->word[0]);
    const hone_status status = rank_explain(&out, err);
    stdout_add(out.p, out.n);
    text_free(&out);
    return status;
}
