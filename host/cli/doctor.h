/* doctor.h - parts of hone doctor: each adds its facts, as lines for people and as an object of JSON. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H
#include "base/str.h"

typedef struct {
    text people, json;
    int n_facts; /* of the part that has begun */
    const char *folder, *device;
    int threads;
} doctor;

void doctor_begin(doctor *d, const char *part);
void doctor_end(doctor *d);
void doctor_fact(doctor *d, const char *name, const char *fmt, ...) HONE_PRINTF(3, 4);

hone_status doctor_machine(doctor *d, hone_err *err); /* cores, instructions, memory */
hone_status
doctor_devices(doctor *d,
               hone_err *err); /* devices of hone, with the reason where one is missing; GPUs of /sys */
hone_status doctor_ranks(doctor *d,
                         hone_err *err); /* who was asked which rank this is, and where ranks would meet */
hone_status doctor_disk(doctor *d,
                        hone_err *err); /* room, and how fast a file becomes durable. HONE_ESTORAGE */
/* The same cases of products, attention, norms and updates, over and over on every device (d->device, or those that are
 * ready): HONE_ENOTFINITE (silent corruption) if bits differ between two times or two devices of a kind. */
hone_status doctor_burn(doctor *d, double seconds, hone_err *err);
#endif
