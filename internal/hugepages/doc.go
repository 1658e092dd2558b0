// Package hugepages makes large memory that the system may back by pages of 2 MB.
//
// A processor remembers where some thousand pages lie. Behind a page of 4 kB that it does not
// remember stand up to four reads of memory, and up to twenty-four in a virtual machine: a pass
// over the 200 MB of a step's maps takes fifty thousand of them. Pages of 2 MB are a hundred.
// Linux has them for those who ask (/sys/kernel/mm/transparent_hugepage/enabled: madvise) or for
// all (always); what is asked for and not given stays as it is.
package hugepages
