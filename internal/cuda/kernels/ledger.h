/* What a session keeps on the device between steps. The Go type ledger mirrors it. */
#ifndef SLIPWAY_LEDGER_H
#define SLIPWAY_LEDGER_H

struct Ledger {
    double loss_sum;             /* by image, penalties included, since the epoch began */
    double data_sum;             /* by image, the cross-entropy alone */
    double diverged_loss;        /* the loss that was not finite */
    unsigned long long step;     /* steps done in all: decides dropout and Adam's corrections */
    unsigned long long steps;    /* steps done since the epoch began */
    unsigned long long images;   /* images seen since the epoch began */
    unsigned long long correct;  /* of them classified right */
    unsigned long long position; /* place in the order of the next image */
    float last_loss;
    int diverged;                /* from then on nothing changes */
    /* What the step under way goes by: written by its first launch, read by its last. */
    float step_size;             /* Adam: lr / (1 - beta1^t) */
    float root_correction;       /* Adam: 1 / sqrt(1 - beta2^t) */
    unsigned long long number;   /* t: the steps done, and this one */
    unsigned long long stopped;  /* an earlier step has diverged */
};

#endif
