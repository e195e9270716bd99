/* probe.h - a few made-up sequences with the logits that a model gave for them, kept beside its weights as
 * probe.json: whoever loads the folder later can see that it is still the same function (hone export --check,
 * item 9). The ids are drawn, so no text of the training data is in them. */
#ifndef TRAIN_PROBE_H
#define TRAIN_PROBE_H
#include "train/session.h"

/* Write FOLDER/probe.json from the session's weights. */
hone_status probe_write(session *s, const char *folder, hone_err *err);

/* Load FOLDER afresh and play its probe. HONE_OK: *found says what was seen ("no probe.json ..." among it).
 * HONE_EDAMAGED and others: it is damaged, or the logits are others. */
hone_status probe_replay(const char *folder, char found[200], hone_err *err);
#endif
