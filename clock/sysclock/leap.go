// SPDX-License-Identifier: Apache-2.0

package sysclock

import (
	"errors"
	"fmt"
	"io"

	"github.com/lockstep-time/lockstep/clock"
	"github.com/lockstep-time/lockstep/internal/files"
)

// DefaultLeapSeconds is where tzdata puts its leap-seconds.list.
const DefaultLeapSeconds = "/usr/share/zoneinfo/leap-seconds.list"

// LoadLeapSeconds reads the file path as clock.ParseLeapSeconds does. It fails with fs.ErrNotExist if there is none.
func LoadLeapSeconds(path string) (*clock.LeapTable, error) {
	data, err := readBounded(path, clock.MaxLeapFile)
	if err != nil {
		return nil, fmt.Errorf("clock: load leap seconds: %w", err)
	}
	return clock.ParseLeapSeconds(path, data)
}

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := files.OpenLinked(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	return data, errors.Join(err, f.Close())
}
