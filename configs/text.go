// SPDX-License-Identifier: Apache-2.0

package configs

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"github.com/lockstep-time/lockstep/ptp"
)

// Longest texts: PATH_MAX and sun_path of the kernel less the terminating zero, and RFC 1035 §2.3.4 as written with dots.
const (
	maxPath   = 4095
	maxSocket = 107
	maxName   = 253
	maxLabel  = 63
	maxIface  = 15
)

// textForm is a form that a text has to have: allowed says it, ok checks it.
type textForm struct {
	allowed string
	ok      func(string) bool
}

// textForms returns the forms that the tag "is" names.
func textForms() map[string]textForm {
	return map[string]textForm{
		"interface": {"the name of a network interface, 1 to 15 characters without spaces, '/' and ':'", isInterface},
		"address":   {"a unicast IP address or a host name", func(s string) bool { return isUnicast(s) || isName(s) }},
		"name":      {"a host name", isName},
		"path":      {"an absolute path", func(s string) bool { return isPath(s, maxPath) }},
		"socket":    {"an absolute path of at most 107 bytes", func(s string) bool { return isPath(s, maxSocket) }},
		"master":    {`a clock identity like "001122.fffe.334455", a unicast IP address or a unicast MAC`, isMaster},
		"listen":    {`"address:port" or ":port", with an IP address and a port from 0 to 65535`, isListen},
	}
}

// isInterface follows dev_valid_name of the kernel.
func isInterface(s string) bool {
	if s == "" || len(s) > maxIface || s == "." || s == ".." {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r == '/' || r == ':' || r == unicode.ReplacementChar || unicode.IsSpace(r) || unicode.IsControl(r)
	})
}

func isUnicast(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && !a.IsUnspecified() && !a.IsMulticast() && a.Unmap() != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// isName reports whether s may be a host name (RFC 1123 §2.1), underscores tolerated. A name whose last label is a number
// is a mistyped address.
func isName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > maxName {
		return false
	}
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if l == "" || len(l) > maxLabel || l[0] == '-' || l[len(l)-1] == '-' || strings.Trim(l, nameChars) != "" {
			return false
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

const nameChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

func isPath(s string, longest int) bool {
	return strings.HasPrefix(s, "/") && len(s) <= longest && !strings.ContainsFunc(s, unicode.IsControl)
}

func isMaster(s string) bool {
	_, err := ptp.ParseMasterID(s)
	return err == nil
}

func isListen(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return false
	}
	if host == "" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && !a.IsMulticast()
}
