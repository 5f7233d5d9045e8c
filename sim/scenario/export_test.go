// SPDX-License-Identifier: Apache-2.0

package scenario

import "time"

// Length is how long the scenario is.
func (s *Scenario) Length() time.Duration { return s.Duration.d }
