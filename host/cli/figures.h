/* figures.h - published figures of GPUs and networks: the files of configs/devices and configs/networks. */
#ifndef CLI_FIGURES_H
#define CLI_FIGURES_H
#include "base/json.h"
#include "plan/simulate.h"

/* configs/FOLDER/NAME.json as an object, or the file if name has a slash; *file: its path. flag and known stand in the message
 * if there is none. HONE_EUSAGE. */
hone_status figures_open(const json **out, const char **file, arena *a, const char *folder, const char *name,
                         const char *flag, const char *known, hone_err *err);
/* A number above 0. */
hone_status figures_number(double *out, const json *o, const char *file, const char *key, hone_err *err);
/* "name" of the file, else its path. */
const char *figures_name(const json *o, const char *file);

/* configs/networks/NAME.json: everything of out but n and halving. A network inside one machine has no rate to others: 0. */
hone_status network_read(sim_links *out, char shown[96], const char *name, hone_err *err);
#endif
