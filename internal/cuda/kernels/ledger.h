/* What a session keeps on the device between steps. The Go type ledger mirrors it. */
#ifndef SLIPWAY_LEDGER_H
#define SLIPWAY_LEDGER_H

struct Ledger {
    double loss_sum;             /* by image, penalties included, since the epoch began */
    double data_sum;             /* by image, the cross-entropy alone */
    double diverged_loss;        /* the loss of the step that was not finite */
    double largest_norm;         /* of the gradients, where they are clipped, since the epoch began */
    unsigned long long step;     /* steps done in all: decides dropout and Adam's corrections */
    unsigned long long steps;    /* steps done since the epoch began */
    unsigned long long images;   /* images seen since the epoch began */
    unsigned long long correct;  /* of them classified right */
    unsigned long long position; /* place in the order of the step's first image */
    float last_loss;
    int diverged;                /* DIVERGED_LOSS or DIVERGED_GRADIENTS: from then on nothing changes */
    /* What the step under way goes by: written by its first launch, but for the norm, read by those behind. */
    double norm;                 /* of the gradients, where they are clipped */
    unsigned long long first;    /* the batch's first image, counted in the step */
    float clip;                  /* what the gradients are multiplied by */
    float average;               /* what of the way to the weights their average goes */
    unsigned long long stopped;  /* an earlier step has diverged */
};

/* What was not finite. */
enum { DIVERGED_LOSS = 1, DIVERGED_GRADIENTS };

#endif
