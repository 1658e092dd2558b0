// Package cmemory says how much memory the code of this process holds that is not Go's. A library
// in C takes what it wants: Go's own limits do not see it, and only this can tell that it goes too
// far.
package cmemory
