// Package mediatest makes pictures for tests: in modes that no encoder here writes, and [Corpus], those that somebody sends
// who means harm. Everything is generated; nothing is kept in files.
package mediatest
