/* sig.c - the one door to signals: a flag, read between steps, batches of an evaluation, rows that are read
 * or tokenised. */
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/host.h"

static atomic_int wish, agreed_on, is_shared;

/* Whoever asks twice does not want to wait: the process ends here, with the code that it would have ended
 * with. */
static void note_signal(int number) {
    const int wanted = number == SIGINT ? SIG_INTERRUPT : SIG_SAVE;
    int nothing = SIG_NOTHING;
    if (atomic_compare_exchange_strong(&wish, &nothing, wanted)) return;
    _exit(wanted == SIG_INTERRUPT ? hone_status_exit(HONE_EINTERRUPTED) : hone_status_exit(HONE_EPREEMPTED));
}

void sig_install(void) {
    static const int numbers[] = {SIGTERM, SIGUSR1, SIGINT};
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    action.sa_handler = note_signal;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) sigaction(numbers[i], &action, NULL);
    action.sa_handler = SIG_IGN; /* a reader that went away is an error of write, not the end of a training */
    sigaction(SIGPIPE, &action, NULL);
}

sig_wish sig_heard(void) { return (sig_wish)atomic_load_explicit(&wish, memory_order_relaxed); }

sig_wish sig_wished(void) {
    if (!atomic_load_explicit(&is_shared, memory_order_relaxed)) return sig_heard();
    return (sig_wish)atomic_load_explicit(&agreed_on, memory_order_relaxed);
}

void sig_share(int on) { atomic_store(&is_shared, on); }
void sig_agree(sig_wish agreed) { atomic_store(&agreed_on, (int)agreed); }

void sig_wish_for(sig_wish wished) {
    int nothing = SIG_NOTHING;
    atomic_compare_exchange_strong(&wish, &nothing, (int)wished);
}

hone_status sig_check(hone_err *err) {
    const sig_wish wanted = sig_wished();
    if (wanted == SIG_NOTHING) return HONE_OK;
    if (wanted == SIG_INTERRUPT)
        return hone_fail(err, HONE_EINTERRUPTED, "interrupted: there was nothing new to save");
    return hone_fail(err, HONE_EPREEMPTED,
                     "preempted: there was nothing new to save, rerun the same command to continue");
}
