/* tensorboard.h - scalars as TensorBoard reads them.
 *
 * Format: TFRecord (u64 length, masked CRC-32C of it, bytes, masked CRC-32C of them) of protocol-buffer
 * messages Event {1: double wall_time, 2: int64 step, 3: string file_version | 5: Summary {1: Value {1:
 * string tag, 2: float}}}; source: tensorflow/core/util/event.proto, summary.proto and
 * lib/io/record_writer.cc. */
#ifndef TRAIN_TENSORBOARD_H
#define TRAIN_TENSORBOARD_H
#include "base/file.h"

/* The bytes of one record are appended to out. */
void tensorboard_begin(text *out, double wall_seconds);
void tensorboard_scalar(text *out, double wall_seconds, int64_t step, const char *tag, double value);
#endif
