// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is what a process has taken so far.
type usage struct {
	run            time.Duration // of all threads that there are
	switches       int
	resident, most int // KiB
}

// usageOf reads it from /proc. The times of /proc/PID/stat are in hundredths of a second, which is more than some of these
// programs take in a minute; those of schedstat are in nanoseconds.
func usageOf(pid int) (u usage, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil || len(tasks) == 0 {
		return u, fmt.Errorf("process %d has ended", pid)
	}
	for _, task := range tasks {
		b, err := os.ReadFile(filepath.Join(task, "schedstat"))
		if err != nil {
			return u, err
		}
		run, _, _ := strings.Cut(string(b), " ")
		ns, err := strconv.ParseInt(run, 10, 64)
		if err != nil {
			return u, fmt.Errorf("%s/schedstat: %w", task, err)
		}
		u.run += time.Duration(ns)
		status, err := figures(filepath.Join(task, "status"))
		if err != nil {
			return u, err
		}
		u.switches += status["voluntary_ctxt_switches"] + status["nonvoluntary_ctxt_switches"]
		u.resident, u.most = status["VmRSS"], status["VmHWM"]
	}
	if u.resident == 0 {
		return u, fmt.Errorf("process %d has ended", pid)
	}
	return u, nil
}

// figures returns the lines of a file that are a name and a number.
func figures(file string) (map[string]int, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	all := map[string]int{}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		name, value, _ := strings.Cut(s.Text(), ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		if n, err := strconv.Atoi(fields[0]); err == nil {
			all[name] = n
		}
	}
	return all, nil
}

// since returns what was taken since an earlier time. Memory is what it is now.
func (u usage) since(before usage) usage {
	u.run -= before.run
	u.switches -= before.switches
	return u
}

func (u usage) plus(o usage) usage {
	return usage{u.run + o.run, u.switches + o.switches, u.resident + o.resident, u.most + o.most}
}

// row is the columns of the table for what was taken within span.
func (u usage) row(span time.Duration) string {
	return fmt.Sprintf("%.2f | %.2f | %.1f | %.1f", u.run.Seconds()*float64(time.Hour)/float64(span),
		float64(u.switches)/span.Seconds(), float64(u.resident)/1024, float64(u.most)/1024)
}
