// Package augment changes training images a little, anew in every epoch.
package augment
