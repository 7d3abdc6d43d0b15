// SPDX-License-Identifier: MIT
//
// The end of external work: RemoteQueue::end_external_work() of the last one
// out, beside one thread that posts. Virtual time stands still while there is
// external work, and run_until_idle() waits for its end, so the loop must hear
// of it, asleep or not, and as with a post at most one thread wakes it.
//
// All else is as in remote_queue.pml, with fewer posts: two posters and a
// worker are more than a machine's memory.
//
/* mutant: WORK_UNANNOUNCED       the end looks at sleeping_ only */
/* mutant: WORK_TOO_LATE          it looks at sleeping_, then announces itself */
/* mutant: WORK_WAKES_ALWAYS      it wakes whoever sleeps, and who does not */
/* mutant: WORK_UNSEEN            prepare_sleep() looks at pending_ only */

#define POSTERS 1
#define POSTS 2
#define WORKERS 1
#define SIGNALS 1
#define OTHERS 1
#define RUNS 2

#include "remote_queue.pml"
