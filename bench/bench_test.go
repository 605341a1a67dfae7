package main

import (
	"bufio"
	"strings"
	"testing"
)

func TestReadAnswerTakesWhatTheLoadsNeed(t *testing.T) {
	r := bufio.NewReader(strings.NewReader("HTTP/1.1 201 Created\r\nLOCATION: http://bench/files/a1\r\nUpload-Offset: 20\r\nContent-Length: 0\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"))

	got, err := readAnswer(r)
	if want := (answer{status: 201, location: "/files/a1", offset: 20}); err != nil || got != want {
		t.Errorf("readAnswer() = %+v, %v, want %+v", got, err, want)
	}

	got, err = readAnswer(r)
	if want := (answer{status: 204, offset: -1}); err != nil || got != want {
		t.Errorf("second readAnswer() = %+v, %v, want %+v", got, err, want)
	}
}

func TestMedianOfAnEvenNumberIsBetweenTheMiddleTwo(t *testing.T) {
	if got := median([]float64{9, 1, 2, 4}, func(f float64) float64 { return f }); got != 3 {
		t.Errorf("median = %v, want 3", got)
	}
}
