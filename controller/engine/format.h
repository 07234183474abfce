/* engine/format.h - what the lines of a run mean, as a number in its lines.
 *
 * `start` carries the format of the program that began the run, and `claim` that
 * of each one that drove it: from there on lines may be of that format. A change
 * in the meaning of a line, or a new kind of line, is a new number.
 *
 *   1  up to 0.1 (no number in the lines): read by the rules of 2. A `claim`
 *      while a write was not read back makes that write one that may still arrive.
 *   2  this one
 *
 * A lower number is read, and driven on. A higher one is refused, by whoever
 * folds the run, in a sentence: it may mean what this program would misread.
 * `events` folds nothing, and shows such a run too. */
#ifndef CUTOVER_ENGINE_FORMAT_H
#define CUTOVER_ENGINE_FORMAT_H

#define RUN_FORMAT 2

#endif
