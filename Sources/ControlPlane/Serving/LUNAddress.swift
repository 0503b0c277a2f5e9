// SPDX-License-Identifier: Apache-2.0

public import Transport

/// The URL of a logical unit, as libiscsi and QEMU write it: `iscsi://ADDR:PORT/IQN/LUN`.
public enum LUNAddress {
    /// `portal` is the one that was bound, with its real port; `advertised` what initiators are told instead.
    public static func url(
        portal: PortalAddress, advertised: PortalAddress?, targetName: String, lun: Int
    ) -> String {
        "iscsi://\(advertised ?? reachable(portal))/\(targetName)/\(lun)"
    }

    /// A wildcard is no address to connect to: from this machine, the loopback address is.
    private static func reachable(_ portal: PortalAddress) -> PortalAddress {
        guard portal.isWildcard else { return portal }
        return PortalAddress(host: portal.isIPv6 ? "::1" : "127.0.0.1", port: portal.port)
    }
}
