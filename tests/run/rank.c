/* rank.c - which launcher is believed. */
#include <stdlib.h>

#include "run/rank.h"
#include "test.h"

static void set(const char *pairs) { /* "A=1 B=2" */
    static char words[512];
    snprintf(words, sizeof words, "%s", pairs);
    for (char *w = strtok(words, " "); w; w = strtok(NULL, " ")) {
        *strchr(w, '=') = 0;
        setenv(w, w + strlen(w) + 1, 1);
    }
}

static void expect(const char *pairs, int rank, int n, const char *by) {
    rank_place p;
    clearenv();
    set(pairs);
    CHECK_OK(rank_find(&p, NULL, NULL, err));
    CHECK_INT(p.rank, rank);
    CHECK_INT(p.n, n);
    CHECK_STR(p.by, by);
}

TEST(the_first_launcher_that_has_spoken_is_believed) {
    expect("", 0, 1, "one process");
    expect("RANK=2 WORLD_SIZE=4 LOCAL_RANK=0", 2, 4, "torchrun");
    expect("RANK=2 WORLD_SIZE=4 HONE_RANK=1 HONE_WORLD_SIZE=3", 1, 3, "hone launch");
    expect("RANK=2 OMPI_COMM_WORLD_RANK=5 OMPI_COMM_WORLD_SIZE=6", 5, 6, "Open MPI");
    expect("PMI_RANK=1 PMI_SIZE=2 SLURM_PROCID=0 SLURM_NTASKS=2 SLURM_STEP_ID=0", 1, 2, "PMI");
    expect("SKYPILOT_NODE_RANK=1 SKYPILOT_NUM_NODES=2", 1, 2, "SkyPilot");
}

TEST(a_rank_knows_its_number_on_its_machine_where_the_launcher_says_it) {
    static const struct {
        const char *pairs;
        int local;
    } said[] = {{"RANK=6 WORLD_SIZE=8 LOCAL_RANK=2", 2},
                {"OMPI_COMM_WORLD_RANK=6 OMPI_COMM_WORLD_SIZE=8 OMPI_COMM_WORLD_LOCAL_RANK=2", 2},
                {"PMIX_RANK=6 PMIX_SIZE=8 SLURM_LOCALID=2", 2},
                {"SLURM_PROCID=6 SLURM_NTASKS=8 SLURM_STEP_ID=0 SLURM_LOCALID=2", 2},
                {"SKYPILOT_NODE_RANK=1 SKYPILOT_NUM_NODES=2", 0},
                {"PET_NODE_RANK=1 PET_NNODES=2", 0}};
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        rank_place p;
        clearenv();
        set(said[i].pairs);
        CHECK_OK(rank_find(&p, NULL, NULL, err));
        CHECK_INT(p.local_rank, said[i].local);
    }
}

static void meets_at(const char *pairs, const char *host, int port) {
    rank_place p;
    clearenv();
    set(pairs);
    CHECK_OK(rank_find(&p, NULL, NULL, err));
    CHECK_STR(p.host, host);
    CHECK_INT(p.port, port);
}

TEST(ranks_meet_where_the_launcher_or_a_person_says) {
    meets_at("RANK=0 WORLD_SIZE=2 MASTER_ADDR=n1 MASTER_PORT=500", "n1", 500);
    /* torchrun 2.15: its agent is what listens at MASTER_PORT */
    meets_at("RANK=0 WORLD_SIZE=2 MASTER_ADDR=n1 MASTER_PORT=500 TORCHELASTIC_USE_AGENT_STORE=True", "n1",
             501);
    meets_at("RANK=0 WORLD_SIZE=2 MASTER_ADDR=n1 MASTER_PORT=65535 TORCHELASTIC_USE_AGENT_STORE=True", "n1",
             65534);
    meets_at(
        "SLURM_PROCID=0 SLURM_NTASKS=2 SLURM_STEP_ID=0 SLURM_LAUNCH_NODE_IPADDR=10.0.0.1 MASTER_PORT=500",
        "10.0.0.1", 500);
    meets_at("SLURM_PROCID=0 SLURM_NTASKS=2 SLURM_STEP_ID=0 SLURM_LAUNCH_NODE_IPADDR=10.0.0.1 MASTER_ADDR=n1 "
             "MASTER_PORT=500",
             "n1", 500);
    meets_at("PET_NODE_RANK=1 PET_NNODES=2 PET_MASTER_ADDR=n2 PET_MASTER_PORT=7 MASTER_ADDR=n1", "n2", 7);
}

TEST(flags_go_before_every_launcher) {
    rank_place p;
    clearenv();
    set("RANK=0 WORLD_SIZE=8 LOCAL_RANK=3 MASTER_ADDR=n1 MASTER_PORT=500");
    CHECK_OK(rank_find(&p, "2", "4", err));
    CHECK_STR(p.by, "flags");
    CHECK_INT(p.rank, 2);
    CHECK_INT(p.n, 4);
    CHECK_INT(p.local_rank, 0);
    CHECK_STR(p.host, "n1");
    CHECK_INT(p.port, 500);
}

TEST(a_slurm_batch_script_is_one_process_and_an_srun_step_is_not) {
    expect("SLURM_PROCID=0 SLURM_NTASKS=8", 0, 1, "one process");
    expect("SLURM_PROCID=0 SLURM_NTASKS=8 SLURM_STEP_ID=4294967291", 0, 1, "one process");
    expect("SLURM_PROCID=3 SLURM_NTASKS=8 SLURM_STEP_ID=0", 3, 8, "Slurm");
}

TEST(ranks_that_are_no_numbers_are_refused_by_name) {
    rank_place p;
    hone_err err = {0};
    clearenv();
    set("RANK=4 WORLD_SIZE=4");
    CHECK_INT(rank_find(&p, NULL, NULL, &err), HONE_EUSAGE);
    CHECK_STR(err.text, "RANK: \"4\", expected an integer from 0 to 3");
    CHECK_INT(rank_find(&p, "1", NULL, &err), HONE_EUSAGE);
    CHECK_OK(rank_find(&p, "1", "2", err));
    CHECK_STR(p.by, "flags");
    set("RANK=x");
    CHECK_INT(rank_find(&p, NULL, NULL, &err), HONE_EUSAGE);
}

TEST(doctor_names_the_launcher_that_won) {
    text out = {0};
    clearenv();
    set("RANK=1 WORLD_SIZE=2 PMI_RANK=0 PMI_SIZE=1");
    CHECK_OK(rank_explain(&out, err));
    CHECK(strstr(out.p, "torchrun       RANK=1 WORLD_SIZE=2  <- taken"));
    CHECK(strstr(out.p, "(an earlier one was taken)") && strstr(out.p, "rank 1 of 2, by torchrun"));
    text_free(&out);
}
