/* bench_read.h - hone bench read FILE...: how fast one core goes through data files.
 *
 *   hone bench read train.csv [--json]
 *
 * A pass is what training makes before it tokenises: bytes read (from the page cache, after the first pass), hashed (SHA-256),
 * checked (UTF-8, NUL) and cut into rows and fields; JSONL twice, since its first pass finds the keys. Shown are MB (1,000,000
 * bytes of the file, unpacked or not) a second of processor time, of the fastest of five passes, and what hashing alone takes. */
#ifndef CLI_BENCH_READ_H
#define CLI_BENCH_READ_H
#include "cli/args.h"

hone_status bench_read(const args *a, hone_err *err);
#endif
