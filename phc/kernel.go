// SPDX-License-Identifier: Apache-2.0

package phc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lockstep-time/lockstep/internal/pace"
)

// Kernel is what a [Device] asks of the operating system about one clock. Its errors are bare errno values, but for those
// stated. A Device makes one call at a time, but for Read, which runs beside the others.
type Kernel interface {
	// Ioctl does the request req; arg points to its structure, or holds its value.
	Ioctl(req uint, arg unsafe.Pointer) error
	// IoctlValue does a request whose argument is a number instead of a pointer.
	IoctlValue(req uint, arg uintptr) error
	// AdjTime, GetTime, SetTime and GetRes act on the device's dynamic clock id.
	AdjTime(*unix.Timex) error
	GetTime(*unix.Timespec) error
	SetTime(*unix.Timespec) error
	GetRes(*unix.Timespec) error
	// Read waits until there are events, and reads as many as fit. It ends with ctx.Err() when ctx ends, and with
	// [os.ErrClosed] when the device is closed.
	Read(ctx context.Context, events []unix.PtpExttsEvent) (int, error)
	// VirtualClocks returns how many there are and may be; SetVirtualClocks changes it. Not there: [os.ErrNotExist].
	VirtualClocks() (n, limit int, err error)
	SetVirtualClocks(n int) error
	Close() error
}

// device is the kernel of an open character device.
type device struct {
	index int
	// path is where it was opened for reading only, empty otherwise.
	path string
	file *os.File
	raw  syscall.RawConn
	// fd is valid until close; Device's lock keeps calls away from a closed one.
	fd uintptr
	// comparing, adjusting and reading are what is done all the time.
	comparing, adjusting, reading pace.Pace
}

// call does a system call. Of one that takes long the Go runtime has to be told, so that other goroutines go on meanwhile;
// for each that it is told of it may wake its monitor, a thread of its own, which costs more than a driver takes that
// answers at once. Pointers among the arguments are to be converted in the call.
//
//go:uintptrescapes
func call(p *pace.Pace, trap, a1, a2, a3 uintptr) (errno unix.Errno) {
	began := time.Now()
	if p.AtOnce() {
		_, _, errno = unix.RawSyscall(trap, a1, a2, a3)
	} else {
		_, _, errno = unix.Syscall(trap, a1, a2, a3)
	}
	p.Took(time.Since(began))
	return errno
}

// openDevice opens /dev/ptpN by the flag, O_RDWR or O_RDONLY, the former becoming the latter where that is all that is
// allowed.
func openDevice(path string, index, flag int) (*device, error) {
	f, err := os.OpenFile(path, flag, 0)
	if flag == os.O_RDWR && (errors.Is(err, os.ErrPermission) || errors.Is(err, unix.EROFS)) {
		if g, rerr := os.OpenFile(path, os.O_RDONLY, 0); rerr == nil {
			f, err = g, nil
		}
	}
	if err != nil {
		return nil, errno(err)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, err
	}
	d := &device{index: index, file: f, raw: raw}
	if flag == os.O_RDONLY {
		d.path = path
	}
	if err := raw.Control(func(fd uintptr) { d.fd = fd }); err != nil {
		f.Close()
		return nil, err
	}
	return d, nil
}

// errno digs the system's error out of what package os wraps around it.
func errno(err error) error {
	var e unix.Errno
	if errors.As(err, &e) {
		return e
	}
	return err
}

func (d *device) Ioctl(req uint, arg unsafe.Pointer) error {
	p := &pace.Pace{} // of a request that may wait
	switch req {
	case unix.PTP_SYS_OFFSET, unix.PTP_SYS_OFFSET_EXTENDED, unix.PTP_SYS_OFFSET_PRECISE:
		p = &d.comparing
	}
	if e := call(p, unix.SYS_IOCTL, d.fd, uintptr(req), uintptr(arg)); e != 0 {
		return e
	}
	return nil
}

func (d *device) IoctlValue(req uint, arg uintptr) error {
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, d.fd, uintptr(req), arg); e != 0 {
		return e
	}
	return nil
}

func (d *device) clockID() int32 { return unix.FdToClockID(int(d.fd)) }

func (d *device) AdjTime(t *unix.Timex) error {
	e := call(&d.adjusting, unix.SYS_CLOCK_ADJTIME, uintptr(d.clockID()), uintptr(unsafe.Pointer(t)), 0)
	switch {
	case e == unix.EACCES && t.Modes == 0 && d.path != "":
		return d.readByWriter(t)
	case e != 0:
		return e
	}
	return nil
}

// readByWriter is for kernels that want write access for merely reading the state.
func (d *device) readByWriter(t *unix.Timex) error {
	f, err := os.OpenFile(d.path, os.O_RDWR, 0)
	if err != nil {
		return errno(err)
	}
	defer f.Close()
	_, err = unix.ClockAdjtime(unix.FdToClockID(int(f.Fd())), t)
	return err
}

func (d *device) GetTime(t *unix.Timespec) error {
	if e := call(&d.reading, unix.SYS_CLOCK_GETTIME, uintptr(d.clockID()), uintptr(unsafe.Pointer(t)), 0); e != 0 {
		return e
	}
	return nil
}

func (d *device) SetTime(t *unix.Timespec) error { return unix.ClockSettime(d.clockID(), t) }
func (d *device) GetRes(t *unix.Timespec) error  { return unix.ClockGetres(d.clockID(), t) }
func (d *device) Close() error                   { return d.file.Close() }

func (d *device) Read(ctx context.Context, events []unix.PtpExttsEvent) (int, error) {
	if len(events) == 0 {
		return 0, nil
	}
	for {
		n, err := d.readOnce(ctx, events)
		if ctx.Err() != nil && err != nil {
			return 0, ctx.Err()
		}
		// A deadline without an end of this context is that of an earlier call, which came late.
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, errno(err)
		}
	}
}

func (d *device) readOnce(ctx context.Context, events []unix.PtpExttsEvent) (n int, err error) {
	if err := d.file.SetReadDeadline(time.Time{}); err != nil {
		return 0, fmt.Errorf("events of %s cannot be waited for: %w", d.file.Name(), err)
	}
	stop := context.AfterFunc(ctx, func() { d.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	size := int(unsafe.Sizeof(events[0]))
	buf := unsafe.Slice((*byte)(unsafe.Pointer(&events[0])), len(events)*size)
	var readErr error
	err = d.raw.Read(func(fd uintptr) (done bool) {
		n, done, readErr = readReady(int(fd), buf)
		return done
	})
	if err == nil {
		err = readErr
	}
	return max(n, 0) / size, err
}

// readReady reads if there is something to be read. The kernel's read waits for an event whatever the flags of the file
// say, so it is asked only then.
func readReady(fd int, buf []byte) (n int, done bool, err error) {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		ready, err := unix.Poll(fds[:], 0)
		if err == nil && ready == 0 {
			return 0, false, nil
		}
		if err == nil {
			n, err = unix.Read(fd, buf)
		}
		if err != unix.EINTR {
			return n, true, err
		}
	}
}

func (d *device) VirtualClocks() (n, limit int, err error) {
	if n, err = readInt(sysRoot, ptpAttr(d.index, "n_vclocks")); err != nil {
		return 0, 0, err
	}
	limit, err = readInt(sysRoot, ptpAttr(d.index, "max_vclocks"))
	return n, limit, err
}

func (d *device) SetVirtualClocks(n int) error {
	return os.WriteFile(sysRoot+ptpAttr(d.index, "n_vclocks"), []byte(strconv.Itoa(n)), 0)
}
