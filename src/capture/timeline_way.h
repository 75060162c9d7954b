/* Keeps the blocks just ahead of the kernel free. A part of timeline.c. */
#pragma once

struct timeline;

/* Moves what must be kept, forgets the oldest. */
void timeline_clear_the_way(struct timeline *timeline);
