// SPDX-License-Identifier: Apache-2.0

package import HandlerABI
package import TargetCore

/// For who tests handlers: one file loaded by all the checks of the host, and its callouts as they registered.
package enum HandlerInspection {
    /// Loads one file. What handlers say without naming a device goes to `diagnostics`.
    package static func load(_ path: String, diagnostics: Diagnostics) throws(HandlerRefusal) -> [Handler] {
        HostHooks.listen(diagnostics)
        return try HandlerLibrary.load(path, isTrusted: false, occupied: [:], trial: nil)
    }

    package static func callouts(of handler: Handler) -> tcmur_handler { unsafe handler.callouts }

    /// Zeroes without one, and behind the end of a shorter one.
    package static func extensionTable(of handler: Handler) -> martlet_handler_extension {
        handler.handlerExtension.table
    }

    /// Bytes of the medium and of its blocks, found as for a server's device: configured, probed, or seen in the
    /// store.
    package static func shape(
        of configuration: HandlerDeviceConfiguration, _ handler: Handler
    ) throws(HandlerDeviceError) -> (byteCount: UInt64, blockByteCount: Int, isReadOnly: Bool) {
        let size = try MediumSize.find(for: configuration, handler: handler)
        return (size.byteCount, size.blockByteCount, size.isReadOnly)
    }

    /// Libraries that the file asks for. None when it cannot be read as a shared object.
    package static func neededLibraries(_ path: String) -> [String] {
        guard let bytes = try? SystemFiles.read(path, limit: 256 << 20) else { return [] }
        return (try? ELFSymbols(bytes))?.neededLibraries ?? []
    }
}
