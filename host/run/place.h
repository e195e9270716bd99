/* place.h - which cores and which GPU each rank of this machine gets, from what Linux says of them in /sys.
 *
 * Rank r is on the r-th GPU that may be used, and on cores of that GPU's NUMA node; ranks that share a node, and all ranks
 * where no GPU is known, are dealt cores evenly, whole physical cores together. */
#ifndef RUN_PLACE_H
#define RUN_PLACE_H
#include "run/comm.h"

#define PLACE_CORES_MAX 1024

/* NVIDIA's GPUs of this machine in the order of their addresses (CUDA_DEVICE_ORDER=PCI_BUS_ID). */
typedef struct {
    int n;
    char address[COMM_RANKS_MAX][16]; /* "0000:17:00.0" */
    int node[COMM_RANKS_MAX];         /* NUMA node, -1: not said */
} place_gpus;

/* sysfs: "/sys". visible: CUDA_VISIBLE_DEVICES or NULL: numbers choose among them, in its order; 0 and nothing found where
 * it names them in another way (UUIDs), for those cannot be told apart here. */
void place_find_gpus(place_gpus *out, const char *sysfs, const char *visible);

typedef struct {
    int n_cores;
    int core[PLACE_CORES_MAX];
    int gpu; /* index into the GPUs, -1: none */
} rank_cores;

/* Deal core[n_cores] (those that this process may use; usable: how many of them its quota is worth) to n ranks. A rank
 * gets one core at least; where there are fewer cores than ranks they are shared. */
void place_ranks(rank_cores *out, int n, const char *sysfs, const place_gpus *gpus, const int *core,
                 int n_cores, int usable);
#endif
