// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// Which poller the loops are to use.
public enum PollerChoice: String, CaseIterable, Sendable {
    /// `preferred`, where the kernel has it.
    case auto
    case epoll
    case ioUring = "io_uring"

    /// What `auto` takes if it can.
    public static let preferred = PollerChoice.epoll

    /// A poller for the calling thread; it is found out by trying. When it is not the one that was chosen, `reason` says
    /// why, in a sentence for the log.
    public func makePoller() throws(SystemError) -> (poller: any Poller, reason: String?) {
        let choice = self == .auto ? Self.preferred : self
        guard choice == .ioUring else { return (try EpollPoller(), nil) }
        do throws(SystemError) {
            return (try UringPoller(), nil)
        } catch {
            return (try EpollPoller(), Self.reason(error))
        }
    }

    private static func reason(_ error: SystemError) -> String {
        let reason =
            switch error.code {
            case ENOSYS: "this kernel has no io_uring, or a sandbox hides it"
            case EPERM, EACCES: isDisabled ? "the sysctl kernel.io_uring_disabled forbids it" : "a sandbox forbids it"
            case EINVAL, ENOTSUP: "this kernel's io_uring is older than Linux 6.1"
            case ENOMEM: "there is not enough memory that may be locked (see ulimit -l), or none at all"
            case EMFILE, ENFILE: "there is no free descriptor for it"
            default: "it failed"
            }
        return "io_uring is not used, epoll is: \(reason) (\(error))"
    }

    /// Whether the administrator has switched it off, for all or for those without privilege.
    private static var isDisabled: Bool {
        let descriptor = unsafe clinux_open("/proc/sys/kernel/io_uring_disabled", O_RDONLY, 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var digit: UInt8 = 0
        // One byte, to a variable that outlives the call.
        let count = unsafe read(descriptor, &digit, 1)
        return count == 1 && digit != UInt8(ascii: "0")
    }
}

extension Poller {
    /// For people: "epoll" or "io_uring".
    public var name: String { self is EpollPoller ? "epoll" : "io_uring" }
}
