/* cmd_doctor.c - hone doctor: what of this machine was detected, and why; with --burn, whether it computes the same twice. */
#include <string.h>

#include "cli/cmd.h"
#include "cli/doctor.h"
#include "base/err.h"
#include "base/file.h"

const option doctor_flags[] = {
    {"ranks", 1, "The same as the word ranks."},
    {"folder", 0, "FOLDER: disk: where output_dir will be (default: the current one)."},
    {"burn", 0,
     "SECONDS: compute the same again and again on every device, compare the bits (exit 5: they differ)."},
};
const int n_doctor_flags = sizeof doctor_flags / sizeof *doctor_flags;

static const struct {
    const char *name;
    hone_status (*tell)(doctor *d, hone_err *err);
} parts[] = {
    {"machine", doctor_machine}, {"devices", doctor_devices}, {"ranks", doctor_ranks}, {"disk", doctor_disk}};
enum { N_PARTS = sizeof parts / sizeof *parts };

static hone_status check_part(const char *wanted, hone_err *err) {
    int known = !wanted;
    for (int i = 0; i < N_PARTS; i++) known |= wanted && !strcmp(wanted, parts[i].name);
    return known ? HONE_OK
                 : hone_fail(err, HONE_EUSAGE,
                             "hone doctor: \"%.40s\", expected machine, devices, ranks or disk", wanted);
}

static hone_status tell_all(doctor *d, const char *wanted, int64_t burn_s, hone_err *err) {
    hone_status status = HONE_OK;
    for (int i = 0; i < N_PARTS && !status; i++) {
        if (wanted && strcmp(wanted, parts[i].name)) continue;
        doctor_begin(d, parts[i].name);
        status = parts[i].tell(d, err);
        doctor_end(d);
    }
    if (status || !burn_s) return status;
    doctor_begin(d, "burn");
    status = doctor_burn(d, (double)burn_s, err);
    doctor_end(d);
    return status;
}

hone_status cmd_doctor(const args *a, hone_err *err) {
    const char *wanted = args_value(a, "ranks") ? "ranks" : a->n_words ? a->word[0] : NULL;
    int64_t burn_s;
    HONE_TRY(
        args_words(a, 0, args_value(a, "ranks") ? 0 : 1, "hone doctor [machine|devices|ranks|disk]", err));
    HONE_TRY(args_integer(a, "burn", 1, 1 << 20, 0, &burn_s, err));
    HONE_TRY(check_part(wanted, err));
    doctor d = {.folder = args_value(a, "folder"), .device = a->device, .threads = a->threads};
    if (!d.folder) d.folder = ".";
    const hone_status status = tell_all(&d, wanted, burn_s, err);
    if (a->json) {
        text_str(&d.json, "}\n");
        d.json.p[0] = '{'; /* begun with a comma */
    }
    const text *out = a->json ? &d.json : &d.people;
    if (!status) stdout_add(out->p, out->n);
    text_free(&d.people);
    text_free(&d.json);
    return status;
}
